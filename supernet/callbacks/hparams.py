"""Hyper-parameters for TensorBoard's HParams tab, which sets them beside the last value of every curve."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl
from torch.utils.tensorboard.summary import hparams

from supernet.callbacks.monitoring import writer


class HParams(pl.Callback):
    """Writes the settings at the end of a run, into the run's own event file.

    ``SummaryWriter.add_hparams`` would open a second file, and Lightning's logger would put a point that was never
    measured into a curve. Nothing is written for a run that did not end.

    Args:
        values: the settings, as dotted names with plain values.
    """

    def __init__(self, values: Mapping[str, str | float | int | bool]) -> None:
        self.values = {name: str(value) if isinstance(value, bool) else value for name, value in values.items()}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write them."""
        board = writer(trainer)
        if board is None:
            return
        # Only the session's start and end, not the description of the experiment that comes first: TensorBoard would
        # take that of one run for all, without what only others have. From the sessions alone it makes the union.
        for summary in hparams(self.values, {})[1:]:
            board._get_file_writer().add_summary(summary)
        board.flush()
