"""The progress bar: losses, accuracies and the current genotype; a line an epoch where there is no terminal."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl
from rich import get_console

from supernet.modules.search import SearchModule

log = logging.getLogger("supernet")


class Progress(pl.callbacks.RichProgressBar):
    """A bar for each epoch, which stays; in a pipe or a log file one line for each epoch instead.

    Args:
        seconds: between two readings of the losses, each of which waits for the device.
    """

    def __init__(self, seconds: float = 0.5) -> None:
        super().__init__(leave=True)
        self.seconds = seconds
        self._genotype = ""
        self._shown: tuple[float, dict[str, Any]] = (0.0, {})
        if not get_console().is_terminal:
            self.disable()

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The logged values by short names, and the genotype in a few letters."""
        now = time.monotonic()
        if trainer.training and self._shown[1] and now - self._shown[0] < self.seconds:
            return self._shown[1]
        found = {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
        if isinstance(pl_module, SearchModule):
            losses = {name: value for name, value in pl_module.measures.newest.items() if name.startswith("step/loss")}
            found = {name: float(value) for name, value in losses.items()} | found
        metrics = {name.removeprefix("step/").replace("accuracy", "acc"): value for name, value in found.items()}
        if isinstance(pl_module, SearchModule):
            metrics["genotype"] = self._genotype
        self._shown = (now, metrics)
        return metrics

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the genotype once an epoch."""
        if isinstance(pl_module, SearchModule):
            self._genotype = pl_module.space.short(pl_module.genotype())
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Where there is no bar: the epoch in one line."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.is_disabled and trainer.is_global_zero:
            shown = {k: v for k, v in trainer.callback_metrics.items() if k.startswith(("loss/", "accuracy/"))}
            values = "  ".join(f"{name} {float(value):.3f}" for name, value in sorted(shown.items()))
            log.info("epoch %d/%s  %s  %s", trainer.current_epoch + 1, trainer.max_epochs, values, self._genotype)
