"""Warm starts that score operations: the lowest go, and the alphas may begin a little on the side of the others."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from search_spaces.space import SearchSpace
from supernet.estimators.base import Task
from supernet.warm_start.alphas import check_kappa, from_scores
from supernet.warm_start.base import Effort, Outcome, WarmStart, contested, dropped
from supernet.warm_start.pruning import Pruning

log = logging.getLogger("supernet")


class OperationFilter(WarmStart):
    """Scores each operation on each edge and drops the lowest.

    Args:
        drop: see `Pruning`, as the next three.
        min_ops: see there.
        protected: see there.
        drop_unchosen: see there.
        kappa: how far the alphas start from the uniform mixture, see `from_scores`; 0 for the usual start.
    """

    def __init__(
        self,
        drop: float = 1 / 3,
        min_ops: int = 2,
        protected: Sequence[str] = (),
        drop_unchosen: bool = False,
        kappa: float = 0.0,
    ) -> None:
        self.pruning = Pruning(drop, min_ops, protected, drop_unchosen)
        check_kappa(kappa)
        self.kappa = kappa
        self.moves_alphas = kappa > 0

    def check(self, task: Task) -> None:
        """See `WarmStart.check`."""
        self.pruning.check(task.space)

    def idle(self, space: SearchSpace) -> bool:
        """See `WarmStart.idle`."""
        pairs = {cell: contested(space, cell) for cell in space.edges}
        if not any(bool(table.any()) for table in pairs.values()):
            return True
        zeros = {cell: torch.zeros(table.shape).masked_fill(~table, torch.nan) for cell, table in pairs.items()}
        left = self.pruning(space, zeros)
        return not self.kappa and not any(dropped(space.allowed, left.allowed).values())

    @abstractmethod
    def scores(self, task: Task) -> tuple[dict[str, Tensor], Effort]:
        """For each cell type the scores ``(edges, operations)``, NaN where there is none; and what they have cost."""

    def start(self, scores: Mapping[str, Tensor], space: SearchSpace) -> dict[str, Tensor]:
        """The logits from which the alphas start in what is left of a space."""
        return from_scores(scores, space, self.kappa)

    def look(self, task: Task) -> Outcome:
        """See `WarmStart.look`."""
        if self.idle(task.space):
            log.warning("there is nothing to drop in this space; no network was looked at")
            return Outcome(task.space)
        scores, effort = self.scores(task)
        space = self.pruning(task.space, scores)
        return Outcome(space, scores, self.start(scores, space) if self.kappa else None, effort)
