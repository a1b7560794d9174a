"""Checkpoints within an epoch, from which a run goes on bit for bit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer import call
from torch import Tensor, nn
from torchmetrics import Metric

from supernet import averages
from supernet.callbacks.checkpoint import within
from supernet.preemption import Requests

KEY = "within_epoch"  # in a checkpoint
TOGETHER = 10  # steps between two moments in which several processes agree whether to save


class Interim(pl.callbacks.Checkpoint):
    """Writes ``<folder>/within_0008.ckpt`` during the eighth epoch, every so many minutes and when asked to end.

    Beside what every checkpoint holds it has what each process has for itself until the epoch ends: running statistics
    of batch norms, and what was measured so far. A run with another number of processes takes their mean and their sum.

    After the last batch of an epoch nothing is saved: the checkpoint of the epoch follows when it has been judged.

    Args:
        folder: where checkpoints are.
        minutes: between two of them, by the clock of any process; None for never.
        followed: whether there is long work after the training, so that a run asked to end does so before it.
    """

    def __init__(self, folder: Path, minutes: float | None, followed: bool = False) -> None:
        self.folder = folder
        self.minutes = minutes
        self.followed = followed
        self._requests = Requests()
        self._saved = time.monotonic()
        self._saving = False
        self._loaded: list[Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to listen; go on within an epoch if the checkpoint is of the midst of one."""
        self._saved = time.monotonic()
        self._requests.listen()
        if trainer.world_size > 1:
            # The trainer would ask all processes before every step whether it has seen SIGTERM, and wait for the
            # device to hear the answer; it is this callback that has.
            trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        if self._loaded is not None:
            take_over(pl_module, self._loaded)
            self._loaded = None
            # The trainer tells of the beginning of an epoch only where it begins; what is set then is not saved.
            call._call_callback_hooks(trainer, "on_train_epoch_start")
            call._call_lightning_module_hook(trainer, "on_train_epoch_start")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time, and end if that was asked for.

        Raises `supernet.preemption.PreemptedError` in the latter case.
        """
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if averages.processes() > 1 and (batch_idx + 1) % TOGETHER:
            return
        due = self.minutes is not None and time.monotonic() - self._saved >= 60 * self.minutes
        asked = averages.any_of(self._requests.signal is not None)
        if asked or averages.any_of(due):
            pl_module.guard.check()  # type: ignore[operator, union-attr]
            self._saving = True
            try:
                trainer.save_checkpoint(within(self.folder, trainer.current_epoch + 1), weights_only=False)
            finally:
                self._saving = False
            self._saved = time.monotonic()
        if asked:
            raise self._requests.preempted()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End here if that was asked for; the checkpoint of the epoch is there."""
        self._saved = time.monotonic()
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if averages.any_of(self._requests.signal is not None) and (self.followed or not last):
            raise self._requests.preempted()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what each process has for itself."""
        if self._saving:
            checkpoint[KEY] = averages.of_all(own(pl_module))

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note it for the beginning of the training."""
        self._loaded = checkpoint.get(KEY)


def own(module: nn.Module) -> dict[str, dict[str, Tensor]]:
    """What the processes do not have in common: running statistics, and the states of all metrics, by name."""
    norms = {name: tensor.detach().cpu().clone() for name, tensor in _norms(module).items()}
    states = {name: getattr(metric, state).detach().cpu().clone() for name, (metric, state) in _states(module).items()}
    return {"norms": norms, "metrics": states}


def take_over(module: nn.Module, saved: list[dict[str, dict[str, Tensor]]]) -> None:
    """Give a process its own again, or its share of what another number of processes had."""
    number, count = averages.place()
    if len(saved) == count:
        mine = saved[number]
    else:
        norms = {name: torch.stack([one["norms"][name] for one in saved]).mean(0) for name in saved[0]["norms"]}
        totals = {name: torch.stack([one["metrics"][name] for one in saved]).sum(0) for name in saved[0]["metrics"]}
        zeros = {name: torch.zeros_like(total) for name, total in totals.items()}
        mine = {"norms": norms, "metrics": totals if number == 0 else zeros}
    for name, tensor in _norms(module).items():
        tensor.data.copy_(mine["norms"][name])
    for name, (metric, state) in _states(module).items():
        setattr(metric, state, mine["metrics"][name].to(getattr(metric, state).device))
        metric._update_count = 1  # else it would warn of a mean of nothing


def _norms(module: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}.{part}": getattr(layer, part)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None
        for part in ("running_mean", "running_var")
    }


def _states(module: nn.Module) -> dict[str, tuple[Metric, str]]:
    """The states of all metrics, each of which is a sum over what was seen."""
    return {
        f"{name}.{state}": (metric, state)
        for name, metric in module.named_modules()
        if isinstance(metric, Metric)
        for state in metric._defaults
    }
