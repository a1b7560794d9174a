"""``history.csv``: one row an epoch, also after an interruption."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from supernet.files import write_atomically
from supernet.modules.search import SearchModule

FILE = "history.csv"
Row = dict[str, float | int | str]


class History(pl.Callback):
    """Keeps what every epoch logged and writes it as ``<folder>/history.csv``.

    The rows are part of the checkpoint and the file is rewritten as a whole, so that an epoch that runs again after a
    crash has one row, not two.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self._start = 0.0
        self._before = 0.0  # seconds of the current epoch before an interruption

    @property
    def seconds(self) -> float:
        """Time spent in all complete epochs, those before an interruption included."""
        return sum(float(row["seconds"]) for row in self.rows)

    @property
    def metrics(self) -> dict[str, float]:
        """What the last epoch measured, by name."""
        last = self.rows[-1] if self.rows else {}
        return {name: float(value) for name, value in last.items() if "/" in name and not isinstance(value, str)}

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, or let it go on where the epoch was interrupted."""
        self._start = time.perf_counter() - self._before
        self._before = 0.0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the row of this epoch and rewrite the file."""
        row: Row = {"epoch": trainer.current_epoch + 1, "seconds": round(time.perf_counter() - self._start, 3)}
        for name, value in sorted(trainer.callback_metrics.items()):
            if not name.startswith("step/"):
                row[name] = float(value)
        if isinstance(pl_module, SearchModule):
            row["genotype"] = pl_module.space.format(pl_module.genotype())
        self.rows = [*self.rows, row]
        self._start = time.perf_counter()
        if trainer.is_global_zero:
            write_atomically(self.folder / FILE, self.text())

    def text(self) -> str:
        """The rows as csv, with the columns of all of them."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        file = io.StringIO()
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return file.getvalue()

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, and the time since the last of them."""
        return {"rows": self.rows, "seconds": time.perf_counter() - self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after these rows."""
        self.rows = list(state_dict["rows"])
        self._before = float(state_dict.get("seconds", 0.0))
