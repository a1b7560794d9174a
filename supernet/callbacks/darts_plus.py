"""DARTS+: stop before skip connections take over.

Liang, Zhang, Sun, He, Huang, Zhuang and Li, "DARTS+: Improved Differentiable Architecture Search with Early Stopping",
2019, arXiv:1909.06035, section 3.2.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from search_spaces.architecture import Architecture
from supernet.callbacks.stopping import Stopping
from supernet.census import choices, count, is_convolution, is_skip
from supernet.errors import UserError
from supernet.modules.search import SearchModule

Ranking = dict[str, list[list[int]]]
"""For each cell type and edge the learnable operations, the strongest first."""


class DartsPlus(Stopping):
    """Ends the search at the first epoch that meets a criterion, with the architecture of that epoch.

    Args:
        max_skips: criterion 1: the first cell type, which is the normal one, has so many skip connections or more (2 in
            the paper). None: not a criterion.
        stable_epochs: criterion 1*: for so many epochs the ranking of the learnable operations by their alphas has been
            the same on every edge (10 in the paper). None: not a criterion.
    """

    def __init__(self, max_skips: int | None = 2, stable_epochs: int | None = None) -> None:
        if max_skips is None and stable_epochs is None:
            raise ValueError("max_skips and stable_epochs are both null: give at least one of them")
        for name, value in (("max_skips", max_skips), ("stable_epochs", stable_epochs)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1, or null")
        self.max_skips = max_skips
        self.stable_epochs = stable_epochs
        self.ranking: Ranking = {}
        self.stable = 0  # epochs on end without a change in it

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a criterion that a space cannot or must meet."""
        super().on_fit_start(trainer, pl_module)
        assert isinstance(pl_module, SearchModule)
        space = pl_module.space
        first = next(iter(space.edges))
        if self.max_skips is not None and not any(choices(space, is_skip)[first]):
            raise UserError(f"{space.name} has no choice of a skip connection; use callbacks.darts_plus.max_skips=null")
        learnable = choices(space, is_convolution)
        if self.stable_epochs is not None and not any(len(row) > 1 for rows in learnable.values() for row in rows):
            raise UserError(
                f"{space.name} has no edge with two learnable operations to rank; "
                "use callbacks.darts_plus.stable_epochs=null"
            )

    def result(self, trainer: pl.Trainer, module: SearchModule) -> Architecture | None:
        """The architecture of this epoch, where a criterion is met."""
        ranking = ranked(module)
        self.stable = self.stable + 1 if ranking == self.ranking else 0
        self.ranking = ranking
        genotype = module.genotype()
        skips = count(module.space, genotype, is_skip)[next(iter(module.space.edges))]
        module.log("genotype/skips", float(skips))
        full = self.max_skips is not None and skips >= self.max_skips
        settled = self.stable_epochs is not None and self.stable >= self.stable_epochs
        return genotype if full or settled else None

    def state_dict(self) -> dict[str, Any]:
        """The ranking, and since when it stands."""
        return {"ranking": self.ranking, "stable": self.stable}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.ranking, self.stable = state_dict["ranking"], state_dict["stable"]


def ranked(module: SearchModule) -> Ranking:
    """The learnable operations of every edge by their mixing weights, the strongest first."""
    mixture = {cell: weights.tolist() for cell, weights in module.mixture().items()}
    return {
        cell: [
            sorted(operations, key=weights.__getitem__, reverse=True)
            for operations, weights in zip(rows, mixture[cell], strict=True)
        ]
        for cell, rows in choices(module.space, is_convolution).items()
    }
