"""Hyper-parameters and final results for TensorBoard's HParams tab."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl
from torch.utils.tensorboard.summary import hparams

from supernet.callbacks.history import History
from supernet.callbacks.monitoring import batches_done, writer


class HParams(pl.Callback):
    """Writes both at the end of a run, into the run's own event file.

    ``SummaryWriter.add_hparams`` would open a second file, and Lightning's logger would put a point that was never
    measured into a curve. Nothing is written for a run that did not end.

    Args:
        values: the settings, as dotted names with plain values.
        history: the run's history, which knows the results also where nothing was left to do after a resume.
    """

    def __init__(self, values: Mapping[str, str | float | int | bool], history: History) -> None:
        self.values = dict(values)
        self.history = history

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the settings, and the last value of every epoch metric under ``hp/``."""
        board = writer(trainer)
        shown = ("accuracy/", "loss/", "benchmark/")
        results = {f"hp/{k}": v for k, v in self.history.metrics.items() if k.startswith(shown)}
        if board is None or not results:
            return
        # Only the session's start and end, not the description of the experiment that comes first: TensorBoard would
        # take that of one run for all, without what only others have. From the sessions alone it makes the union.
        values = {name: str(value) if isinstance(value, bool) else value for name, value in self.values.items()}
        for summary in hparams(values, {})[1:]:
            board._get_file_writer().add_summary(summary)
        for name, value in results.items():
            board.add_scalar(name, value, batches_done(trainer) - 1)
        board.flush()
