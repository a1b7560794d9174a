"""What searching and training have in common: the folder of a run, its configuration, its trainer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.table import Table

from search_spaces.architecture import Architecture
from supernet import memory
from supernet.benchmarks.base import Benchmark
from supernet.callbacks.checkpoint import AtomicCheckpointIO, EpochCheckpoint, newest_checkpoint
from supernet.callbacks.interim import KEY, Interim
from supernet.compose import CONFIG, build, read_config, save_config, settled
from supernet.data.modules import ImageData, SearchData
from supernet.errors import UserError
from supernet.files import shown
from supernet.preemption import PreemptedError, Requests, requeued
from supernet.strategies.launching import Order, meeting_point, run_workers
from supernet.strategies.places import ALONE, Places, places
from supernet.strategies.replicated import Replicated

log = logging.getLogger("supernet")
CHECKPOINTS = "checkpoints"
TIMEOUT = 1800.0
# "GPU available: ...", tips: a run says what it uses itself.
for noisy in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
# What Lightning warns about and a user can do nothing about, or has no reason to.
for harmless in (
    ".*treespec, LeafSpec.*", ".*smaller than the logging interval.*", ".*does not have many workers.*",
    ".*when logging on epoch level in distributed setting.*",  # what is not averaged is the same in all processes
):  # fmt: skip
    warnings.filterwarnings("ignore", message=harmless)


@dataclass(frozen=True)
class Run:
    """A run's configuration and folder, and the checkpoint it goes on from, if any.

    Attributes:
        cfg: the configuration.
        folder: the run's folder.
        checkpoint: to go on from.
        resumed: whether files of an earlier start count.
        places: the processes that train. Where they are several, this one starts them, and does all else alone.
        worker: whether this is one of them.
    """

    cfg: DictConfig
    folder: Path
    checkpoint: Path | None
    resumed: bool = False
    places: Places = ALONE
    worker: bool = False

    @classmethod
    def start(cls, cfg: DictConfig) -> Run:
        """A new run, or with ``cfg.resume`` the one in that folder with the configuration it was started with.

        A job that its cluster has put into the queue again goes on with its run.
        """
        if requeued() and (Path(cfg.run_dir) / CONFIG).exists():
            cfg.resume = cfg.run_dir
        resumed, cfg = bool(cfg.resume), settled(cfg)
        folder, found = Path(cfg.run_dir), places_of(cfg.trainer)
        if cfg.batch_size % found.size:
            raise UserError(f"batch_size={cfg.batch_size} cannot be shared by {found.size} processes; use a multiple")
        if not found.leads:
            return cls(cfg, folder, None, resumed, found)
        if not resumed and (folder / CONFIG).exists():
            raise UserError(f"{folder} has a run already; go on with resume={folder}, or choose another folder")
        checkpoint = newest_checkpoint(folder / CHECKPOINTS) if resumed else None
        if found.address:
            meeting_point(found, timeout_of(cfg))  # where the others wait until it is their turn
        return cls(cfg, folder, checkpoint, resumed, found)

    @classmethod
    def of_worker(cls, order: Order) -> Run:
        """The same as one of the processes that train sees it; what was done before is read from the folder."""
        folder = Path(order.folder)
        cfg = read_config(folder, "resume")
        checkpoint = None if order.checkpoint is None else Path(order.checkpoint)
        return cls(cfg, folder, checkpoint, True, places_of(cfg.trainer), worker=True)

    @property
    def timeout(self) -> float:
        """Seconds that a process waits for another."""
        return timeout_of(self.cfg)

    @property
    def follows(self) -> bool:
        """Whether all but the training is done on another node, or by another of the processes started there."""
        return not self.places.leads

    def follow(self) -> None:
        """Train with the others, as the leading process says."""
        try:
            if self.cfg.epochs:
                run_workers(self.places, None, self.timeout)
        except PreemptedError as error:
            raise SystemExit(error.status) from error

    @property
    def shown(self) -> str:
        """The folder as a user would type it."""
        return shown(self.folder)

    def trainer(self, *callbacks: pl.Callback) -> pl.Trainer:
        """The trainer of the configuration, with the configured callbacks and these."""
        configured = [build(node, f"callbacks.{name}") for name, node in (self.cfg.callbacks or {}).items() if node]
        # Outputs go to the run's folder, whatever a saved configuration says.
        place = {"save_dir": str(self.folder), "name": "", "version": ""}
        logger = build(self.cfg.logger, "logger", **place, **self._purge()) if self.cfg.logger else False
        node = self.cfg.trainer.copy()
        with open_dict(node):
            options = {name: node.pop(name, None) for name in ("devices", "num_nodes", "timeout", "sync_batchnorm")}
        # Who starts the processes is decided here; Lightning would look at SLURM's variables, and requeue by itself.
        plugins: list[Any] = [AtomicCheckpointIO(), *([] if self.worker else [LightningEnvironment()])]
        first = 1 if self.places.accelerator == "cpu" else [self.places.devices[0]]
        if self.worker:
            several = len(self.places.devices) if first == 1 else list(self.places.devices)
            shared = {
                "devices": several,
                "num_nodes": self.places.nodes,
                "strategy": Replicated(timedelta(seconds=self.timeout), bool(options["sync_batchnorm"])),
                **self._share(node.get("limit_val_batches")),
            }
        else:
            shared = {"devices": first}
        trainer: pl.Trainer = build(
            node,
            "trainer",
            **shared,
            default_root_dir=str(self.folder),
            callbacks=[
                *configured,
                *callbacks,
                EpochCheckpoint(self.folder / CHECKPOINTS, self.cfg.get("checkpoint_every")),
                Interim(self.folder / CHECKPOINTS, self.cfg.get("checkpoint_minutes"), bool(self.cfg.get("selection"))),
            ],
            logger=logger,
            enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in configured),
            plugins=plugins,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
        return trainer

    def prepare(self, module: pl.LightningModule) -> None:
        """Save the configuration, so that the run can be resumed from now on.

        Raises `UserError`, before anything is written, where the optimizers cannot be built.
        """
        try:
            _optimizers, schedulers = cast(Any, module.configure_optimizers())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a scheduler that is stepped before its optimizer
                for scheduler in schedulers if self.cfg.epochs else ():
                    scheduler.step()
        except (TypeError, ValueError) as error:
            raise UserError(f"an optimizer or its scheduler cannot be built: {error}") from error
        save_config(self.cfg, self.folder)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """For work before or after the training: whoever asks it to end, by Ctrl-C or a signal, is obeyed at once."""
        requests = Requests()
        requests.listen(at_once=True)
        try:
            yield
            if requests.signal is not None:  # whoever was interrupted did not heed it
                raise KeyboardInterrupt
        except BaseException as error:  # whatever the interruption has led to
            if requests.signal is not None:
                asked = requests.preempted()
                log.error("%s; go on with resume=%s", asked, self.shown)
                asked.hand_over(self.folder)
                raise SystemExit(asked.status) from error
            if isinstance(error, KeyboardInterrupt):
                log.error("interrupted; go on with resume=%s", self.shown)
                raise SystemExit(130) from error
            raise
        finally:
            requests.ignore()

    def fit(self, trainer: pl.Trainer, module: pl.LightningModule, data: ImageData) -> None:
        """Save the configuration (see `prepare`), then train from the checkpoint or from the start.

        Where several processes train, they do so now, and the trainer here takes over what they have come to.
        """
        checkpoint = self.checkpoint
        if trainer.precision == "64-true":
            module.double()  # the trainer does so only after it has loaded a checkpoint, which would round it
        if not self.worker:
            self.prepare(module)
            if checkpoint:
                log.info("going on from %s", checkpoint)
        scarce = False
        try:
            if self.places.size > 1 and not self.worker:
                checkpoint = self._fit_in_processes()
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        except (SystemExit, KeyboardInterrupt) as error:  # Lightning's answer to Ctrl-C; it ends a sweep too
            if not self.worker:
                log.error("interrupted; go on with resume=%s", self.shown)
            raise error if isinstance(error, SystemExit) else SystemExit(1) from error
        except PreemptedError as error:
            if not self.worker:
                log.error("%s; what was done is saved, go on with resume=%s", error, self.shown)
                error.hand_over(self.folder)
            raise SystemExit(error.status) from error
        except (RuntimeError, MemoryError) as error:
            if memory.exhausted(error):
                scarce = True  # told below, where nothing holds what the step had made
            elif self.checkpoint and "loading state_dict" in str(error):
                raise UserError(f"{self.checkpoint} does not fit the configuration of {self.folder}") from error
            else:
                raise
        if scarce:
            raise UserError(self._scarce(module, data))

    def rehearsed(self, module: pl.LightningModule, data: ImageData) -> bool:
        """Where ``dry_run=memory`` is set: say what a step takes, and that nothing else is to be done."""
        if self.cfg.get("dry_run") is None:
            return False
        need, device = self._need(module, data)
        batch = data.images.batch_size
        table = Table(show_header=False, title="A training step", title_justify="left")
        rows = {
            "weights, gradients, optimizer": memory.shown(need.fixed),
            "an image" + (" of each half" if isinstance(data, SearchData) else ""): memory.shown(need.per_image),
            f"batch_size={batch}" + (f" in {self.places.size} processes" if self.places.size > 1 else ""): (
                f"{memory.shown(need.of(batch // self.places.size))} of each device"
            ),
        }
        if device is not None:
            rows["the device has"] = (
                f"{memory.shown(device)}, enough for about {need.largest(int(0.9 * device))} images"
            )
        for name, value in rows.items():
            table.add_row(name, value)
        Console().print(table)
        return True

    def _scarce(self, module: pl.LightningModule, data: ImageData) -> str:
        """Say that memory did not suffice, and what would fit."""
        need, device = self._need(module, data)
        return memory.message(need, data.images.batch_size // self.places.size, device)

    def _need(self, module: pl.LightningModule, data: ImageData) -> tuple[memory.Need, int | None]:
        """What a step takes, found with a few images on the CPU; and the memory of the device, where it has its own."""
        images = data.images
        module.cpu()
        parameters = list(module.parameters())

        def step(count: int) -> None:
            part = torch.zeros(count, images.channels, *images.size), torch.zeros(count, dtype=torch.long)
            module.rehearse({"train": part, "valid": part} if isinstance(data, SearchData) else part)  # type: ignore[operator]

        few = 8 if max(images.size) <= 64 else 2
        need = memory.need(step, [*parameters, *(torch.empty_like(one) for one in 2 * parameters)], few)
        cuda = self.places.accelerator == "cuda"
        return need, torch.cuda.get_device_properties(self.places.devices[0]).total_memory if cuda else None

    def _fit_in_processes(self) -> Path | None:
        """Train in the run's processes; the checkpoint of their last epoch."""
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # what came before the training was done here, on the first of the devices
        start = None if self.checkpoint is None else str(self.checkpoint)
        log.info("training in %d processes", self.places.size)
        run_workers(self.places, Order(str(self.cfg.task_name), str(self.folder), start), self.timeout)
        return newest_checkpoint(self.folder / CHECKPOINTS)

    def _share(self, limit: int | None) -> dict[str, int]:
        """A limit to the batches that all processes judge by, as one for this process."""
        if limit is None:
            return {}
        rank = torch.distributed.get_rank()
        if limit < self.places.size:
            raise UserError(
                f"trainer.limit_val_batches={limit} leaves some of {self.places.size} processes without any"
            )
        return {"limit_val_batches": len(range(rank, limit, self.places.size))}

    def _purge(self) -> dict[str, Any]:
        """For TensorBoard: hide the points of an epoch that is about to run again."""
        if not self.resumed or "TensorBoardLogger" not in self.cfg.logger._target_:
            return {}
        if self.checkpoint is None:
            return {"purge_step": 0}
        saved = AtomicCheckpointIO().load_checkpoint(self.checkpoint)
        steps = saved["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
        return {"purge_step": steps + (KEY in saved)}  # within an epoch the trainer counts a step after it saves


def timeout_of(cfg: DictConfig) -> float:
    """Seconds that a process waits for another; trainer=ddp says how many, and other trainers may have devices too."""
    return float(cfg.trainer.get("timeout") or TIMEOUT)


def places_of(trainer: DictConfig) -> Places:
    """The processes that a trainer's configuration asks for. Raises `UserError` where they cannot be had."""
    if trainer.get("strategy") not in (None, "auto"):
        raise UserError(
            f"trainer.strategy={trainer.strategy}: several processes are started from the run's own folder, so that "
            "they are right in a sweep too; leave it out and use trainer=ddp trainer.devices=<number>"
        )
    return places(str(trainer.accelerator), trainer.devices, int(trainer.get("num_nodes") or 1))


def result_table(title: str, rows: dict[str, str], found: Architecture, benchmark: Benchmark | None) -> Table:
    """The table at the end of a run, with what is recorded of the architecture, if a benchmark is given."""
    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    if benchmark is not None:
        for dataset in benchmark.datasets:
            record, rank = benchmark.query(found, dataset), benchmark.rank(found, dataset)
            value = f"{record.accuracy:.2f} %, rank {rank:,} of {len(benchmark):,} ({record.epochs} epochs)"
            table.add_row(f"table: {dataset}", value)
    return table


def in_tables(found: Architecture, benchmark: Benchmark | None) -> dict[str, float]:
    """The recorded accuracies of an architecture in percent, by ``benchmark/<data set>``; none without a benchmark."""
    names = () if benchmark is None else benchmark.datasets
    return {f"benchmark/{name}": benchmark.query(found, name).accuracy for name in names if benchmark is not None}


def flat(cfg: DictConfig) -> dict[str, str | float | int | bool]:
    """The settings as dotted names with plain values: the hyper-parameters that TensorBoard compares.

    First the choice of each group, then the values; one that only repeats another by interpolation is left out.
    """
    left_out = ("callbacks", "logger", "run_dir", "log_dir", "resume", "task_name", "benchmark", "choices", "sweep")
    chosen = {str(group).partition("@")[2] or str(group): name for group, name in cfg.choices.items()}
    found: dict[str, str | float | int | bool] = {
        group: name for group, name in chosen.items() if isinstance(name, str) and group not in left_out
    }

    def walk(node: DictConfig, prefix: str) -> None:
        for key in map(str, node):
            if key.startswith("_") or prefix + key in left_out or OmegaConf.is_interpolation(node, key):
                continue
            value = node[key]
            if isinstance(value, DictConfig):
                walk(value, f"{prefix}{key}.")
            elif isinstance(value, str | float | int | bool):
                found[f"{prefix}{key}"] = value

    walk(cfg, "")
    return found
