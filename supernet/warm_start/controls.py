"""Warm starts that any other one has to beat: by chance, by size, by rule.

On NAS-Bench-201 the number of parameters, or the rule "no none, no pooling", drops nearly as well as many scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet import seeds
from supernet.costs.tables import counted
from supernet.estimators.base import Task
from supernet.warm_start.base import CUTTING, Effort, Outcome, WarmStart
from supernet.warm_start.filters import OperationFilter


class Random(OperationFilter):
    """Scores that mean nothing, a function of the seed; see `OperationFilter` for the arguments."""

    def scores(self, task: Task) -> tuple[dict[str, Tensor], Effort]:
        """See `OperationFilter.scores`."""
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.WARM_START))
        space = task.space
        drawn = {
            cell: torch.randn(table.shape, generator=generator, dtype=torch.float64)
            for cell, table in space.allowed.items()
        }
        return {cell: table.masked_fill(~space.candidates(cell), torch.nan) for cell, table in drawn.items()}, Effort()


class Largest(WarmStart):
    """On each edge the operations with the most parameters stay, of equally large ones those named first.

    Args:
        keep: how many stay; with one there is nothing left to search.
    """

    def __init__(self, keep: int = 1) -> None:
        if not isinstance(keep, int) or keep < 1:
            raise ValueError(f"keep is {keep}: it must be a whole number, at least 1")
        self.keep = keep

    def look(self, task: Task) -> Outcome:
        """See `WarmStart.look`."""
        space, allowed, scores = task.space, {}, {}
        for cell, sizes in counted(space, task.samples.image, "parameters").entries.items():
            candidates = space.candidates(cell)
            passing = torch.tensor([0.0 if name in CUTTING else 0.5 for name in space.operations[cell]])
            ranked = (sizes + passing).masked_fill(~candidates, -torch.inf).sort(dim=1, descending=True, stable=True)
            kept = torch.zeros_like(candidates).scatter(1, ranked.indices[:, : self.keep], True)
            allowed[cell] = kept & candidates
            scores[cell] = (sizes / sizes.max().clamp_min(1)).masked_fill(~candidates, torch.nan)
        return Outcome(space.restrict(allowed), scores)


class Rule(WarmStart):
    """Operations of certain names go from every edge that keeps enough others.

    Args:
        operations: their names; those that a space does not have are passed over.
        min_ops: operations that an edge keeps at least, one of which passes its input on.
    """

    def __init__(
        self, operations: Sequence[str] = ("none", "avg_pool_3x3", "max_pool_3x3", "noise"), min_ops: int = 2
    ) -> None:
        if not isinstance(min_ops, int) or min_ops < 1:
            raise ValueError(f"min_ops is {min_ops}: it must be a whole number, at least 1")
        self.operations = tuple(operations)
        self.min_ops = min_ops

    def look(self, task: Task) -> Outcome:
        """See `WarmStart.look`."""
        space, allowed, scores = task.space, {}, {}
        for cell, names in space.operations.items():
            candidates = space.candidates(cell)
            ruled = torch.tensor([name in self.operations for name in names])
            passing = torch.tensor([name not in CUTTING for name in names])
            others = candidates & ~ruled
            enough = (others.sum(dim=1) >= self.min_ops) & (others & passing).any(dim=1)
            allowed[cell] = space.allowed[cell] & ~(candidates & ruled & enough[:, None])
            scores[cell] = (~ruled).double().expand(candidates.shape).masked_fill(~candidates, torch.nan)
        return Outcome(space.restrict(allowed), scores)
