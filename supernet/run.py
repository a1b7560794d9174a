"""What searching and training have in common: the folder of a run, its configuration, its trainer."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from search_spaces.architecture import Architecture
from supernet.benchmarks.base import Benchmark
from supernet.callbacks.checkpoint import AtomicCheckpointIO, EpochCheckpoint, newest_checkpoint
from supernet.compose import CONFIG, build, save_config, settled
from supernet.errors import UserError
from supernet.files import shown

log = logging.getLogger("supernet")
CHECKPOINTS = "checkpoints"
# "GPU available: ...", tips: a run says what it uses itself.
for noisy in ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
# What Lightning warns about and a user can do nothing about, or has no reason to.
for harmless in (".*treespec, LeafSpec.*", ".*smaller than the logging interval.*", ".*does not have many workers.*"):
    warnings.filterwarnings("ignore", message=harmless)


@dataclass(frozen=True)
class Run:
    """A run's configuration and folder, and the checkpoint it goes on from, if any."""

    cfg: DictConfig
    folder: Path
    checkpoint: Path | None
    resumed: bool = False

    @classmethod
    def start(cls, cfg: DictConfig) -> Run:
        """A new run, or with ``cfg.resume`` the one in that folder with the configuration it was started with."""
        resumed, cfg = bool(cfg.resume), settled(cfg)
        folder = Path(cfg.run_dir)
        if not resumed and (folder / CONFIG).exists():
            raise UserError(f"{folder} has a run already; go on with resume={folder}, or choose another folder")
        return cls(cfg, folder, newest_checkpoint(folder / CHECKPOINTS) if resumed else None, resumed)

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
        trainer: pl.Trainer = build(
            self.cfg.trainer,
            "trainer",
            default_root_dir=str(self.folder),
            callbacks=[
                *configured,
                *callbacks,
                EpochCheckpoint(self.folder / CHECKPOINTS, self.cfg.get("checkpoint_every")),
            ],
            logger=logger,
            enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in configured),
            plugins=[AtomicCheckpointIO()],
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
        if trainer.world_size > 1:
            raise UserError(f"a run uses one device in this version, not {trainer.world_size}; use trainer.devices=1")
        return trainer

    def prepare(self, module: pl.LightningModule) -> None:
        """Save the configuration, so that the run can be resumed from now on.

        Raises `UserError`, before anything is written, where the optimizers cannot be built.
        """
        try:
            module.configure_optimizers()
        except (TypeError, ValueError) as error:
            raise UserError(f"an optimizer or its scheduler cannot be built: {error}") from error
        save_config(self.cfg, self.folder)

    def fit(self, trainer: pl.Trainer, module: pl.LightningModule, data: pl.LightningDataModule) -> None:
        """Save the configuration (see `prepare`), then train from the checkpoint or from the start."""
        self.prepare(module)
        if self.checkpoint:
            log.info("going on from %s", self.checkpoint)
        try:
            trainer.fit(module, data, ckpt_path=self.checkpoint, weights_only=True)
        except SystemExit:  # Lightning's answer to Ctrl-C; it ends a sweep too
            log.error("interrupted; go on with resume=%s", self.shown)
            raise
        except RuntimeError as error:
            if self.checkpoint and "loading state_dict" in str(error):
                raise UserError(f"{self.checkpoint} does not fit the configuration of {self.folder}") from error
            raise

    def _purge(self) -> dict[str, Any]:
        """For TensorBoard: hide the points of an epoch that is about to run again."""
        if not self.resumed or "TensorBoardLogger" not in self.cfg.logger._target_:
            return {}
        if self.checkpoint is None:
            return {"purge_step": 0}
        loops = AtomicCheckpointIO().load_checkpoint(self.checkpoint)["loops"]
        return {"purge_step": loops["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]}


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


def flat(cfg: DictConfig) -> dict[str, str | float | int | bool]:
    """The settings as dotted names with plain values: the hyper-parameters that TensorBoard compares.

    First the choice of each group, then the values; one that only repeats another by interpolation is left out.
    """
    left_out = ("callbacks", "logger", "run_dir", "log_dir", "resume", "task_name", "benchmark", "choices")
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
