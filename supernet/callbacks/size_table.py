"""MiLeNAS's search by model size: the most accurate architecture of every size that the search passes through.

He, Ye, Shen and Zhang, "MiLeNAS: Efficient Neural Architecture Search via Mixed-Level Reformulation", 2020,
arXiv:2003.12238, section 3.3.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import torch

from search_spaces.architecture import Architecture
from search_spaces.network import parameters
from supernet.callbacks.stopping import Stopping
from supernet.census import count, is_convolution
from supernet.files import write_atomically
from supernet.genotype import Genotype, git_revision, versions
from supernet.modules.search import SearchModule

FILE, FOLDER = "sizes.csv", "sizes"
Metric = Literal["accuracy/supernet", "accuracy/discretized"]
Row = dict[str, Any]


class SizeTable(Stopping):
    """A table from the size of the derived architecture to the most accurate one of that size.

    The size is the number of convolutions in each cell type, logged as ``genotype/convolutions_<cell>`` (the key
    ``10 n + r`` of the published code; here ``n-r``, or ``n`` where there is one cell type). While alphas favour ever
    more skips and poolings, a search passes through many sizes. ``<folder>/sizes.csv`` lists them, and
    ``<folder>/sizes/<n-r>`` holds the architecture in a form that ``train.py genotype=`` takes.

    Args:
        folder: the run's folder.
        metric: what "accurate" means; the paper takes the supernet's accuracy on the held-out half.
        min_convolutions: end the search when the architecture has fewer in all cell types together. The result, also of
            a search that reaches its last epoch, is then the most accurate architecture with at least so many; a
            search that met none goes on and ends as without this. None: neither.
        patience: for so many epochs on end.
        choices: for the genotype files: the file of each configuration group.
        config: for the genotype files: the configuration of the search, of which training needs ``data``.
    """

    def __init__(
        self,
        folder: str | Path,
        metric: Metric = "accuracy/supernet",
        min_convolutions: int | None = None,
        patience: int = 1,
        choices: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if metric not in get_args(Metric):
            raise ValueError(f"metric is {metric!r}: it must be one of {', '.join(get_args(Metric))}")
        if min_convolutions is not None and min_convolutions < 1:
            raise ValueError(f"min_convolutions is {min_convolutions}: it must be at least 1, or null")
        if patience < 1:
            raise ValueError(f"patience is {patience}: it must be at least 1")
        self.folder = Path(folder)
        self.metric = metric
        self.min_convolutions = min_convolutions
        self.patience = patience
        self.choices = dict(choices or {})
        self.config = dict(config or {})
        self.table: dict[str, Row] = {}
        self.below = 0  # epochs on end with too few convolutions

    def result(self, trainer: pl.Trainer, module: SearchModule) -> Architecture | None:
        """Enter the architecture of this epoch; the best one that is large enough, where the search is to end."""
        architecture = module.genotype()
        sizes = count(module.space, architecture, is_convolution)
        for cell, size in sizes.items():
            module.log(f"genotype/convolutions_{cell}", float(size))
        accuracy = float(trainer.callback_metrics[self.metric])
        key = "-".join(map(str, sizes.values()))
        if key not in self.table or accuracy > self.table[key]["accuracy"]:
            self._enter(key, sizes, accuracy, architecture, trainer, module)
        if self.min_convolutions is None:
            return None
        self.below = self.below + 1 if sum(sizes.values()) < self.min_convolutions else 0
        last = trainer.current_epoch + 1 == trainer.max_epochs
        best = self.best(self.min_convolutions)
        return module.space.parse(best) if best is not None and (last or self.below >= self.patience) else None

    def best(self, least: int) -> str | None:
        """The most accurate architecture with at least so many convolutions; None without any."""
        rows = [row for row in self.table.values() if sum(row["convolutions"].values()) >= least]
        return max(rows, key=lambda row: row["accuracy"])["genotype"] if rows else None

    def _enter(
        self,
        key: str,
        sizes: Mapping[str, int],
        accuracy: float,
        architecture: Architecture,
        trainer: pl.Trainer,
        module: SearchModule,
    ) -> None:
        space = module.space
        with torch.random.fork_rng(devices=[]):
            cost = parameters(space.network(architecture))
        row: Row = {
            "convolutions": dict(sizes), "accuracy": accuracy, "epoch": trainer.current_epoch + 1,
            "parameters": cost, "genotype": space.format(architecture),
        }  # fmt: skip
        self.table = {**self.table, key: row}
        if not trainer.is_global_zero:
            return
        folder = self.folder / FOLDER / key
        folder.mkdir(parents=True, exist_ok=True)
        Genotype(
            search_space=space.name, architecture=row["genotype"], arguments=space.arguments,
            metrics={self.metric: accuracy, "epoch": row["epoch"], "parameters": cost},
            choices=self.choices, versions=versions(), git_revision=git_revision(), config=self.config,
        ).save(folder)  # fmt: skip
        write_atomically(self.folder / FILE, self.text())

    def text(self) -> str:
        """The table as csv, the largest sizes first."""
        rows = [
            {"size": key, **{f"convolutions_{cell}": n for cell, n in row["convolutions"].items()}}
            | {name: value for name, value in row.items() if name != "convolutions"}
            for key, row in sorted(self.table.items(), key=lambda item: -sum(item[1]["convolutions"].values()))
        ]
        file = io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue()

    def state_dict(self) -> dict[str, Any]:
        """The table so far."""
        return {"table": self.table, "below": self.below}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with this table."""
        self.table, self.below = state_dict["table"], state_dict["below"]
