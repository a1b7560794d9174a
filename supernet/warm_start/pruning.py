"""From scores of operations to the operations that stay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from search_spaces.space import SearchSpace
from supernet.warm_start.base import CUTTING

LARGEST_DROP = 1 / 2


class Pruning:
    """Drops the operations of the lowest scores, never so many that an edge has no choice.

    In each cell type the scored pairs of an edge and an operation are walked upwards. A pair is dropped while fewer
    than ``floor(drop * pairs)`` are, unless its edge would keep fewer than ``min_ops`` operations that an architecture
    may choose, or none that passes its input on: so no node is left without input. Pairs that are not scored stay.

    Args:
        drop: the share of the scored pairs of a cell type that is dropped, at most one half.
        min_ops: operations that an edge keeps at least.
        protected: names of operations that are never dropped.
        drop_unchosen: whether operations that a supernet mixes in and no architecture may choose (``none`` in DARTS's
            space), which nothing can score, are dropped too; they do not count among the others.
    """

    def __init__(
        self, drop: float = 1 / 3, min_ops: int = 2, protected: Sequence[str] = (), drop_unchosen: bool = False
    ) -> None:
        if not 0 <= drop <= LARGEST_DROP:
            raise ValueError(
                f"drop is {drop}: it must be at least 0 and at most 1/2; dropping more loses the best architectures "
                "with nearly every score"
            )
        if not isinstance(min_ops, int) or min_ops < 1:
            raise ValueError(f"min_ops is {min_ops}: it must be a whole number, at least 1")
        self.drop = drop
        self.min_ops = min_ops
        self.protected = frozenset([protected] if isinstance(protected, str) else protected)
        self.drop_unchosen = drop_unchosen

    def check(self, space: SearchSpace) -> None:
        """Raise ValueError for protected operations that the space does not have."""
        known = dict.fromkeys(name for names in space.operations.values() for name in names)
        if unknown := sorted(self.protected - set(known)):
            raise ValueError(f"protected: {space.name} has no operation {unknown[0]}; there are {', '.join(known)}")

    def __call__(self, space: SearchSpace, scores: Mapping[str, Tensor]) -> SearchSpace:
        """What is left of a space, given ``(edges, operations)`` for each cell type; NaN is not scored."""
        self.check(space)
        return space.restrict({cell: self._left(space, cell, table) for cell, table in scores.items()})

    def _left(self, space: SearchSpace, cell: str, scores: Tensor) -> Tensor:
        names = space.operations[cell]
        left, candidates = space.allowed[cell].clone(), space.candidates(cell)
        passing = torch.tensor([name not in CUTTING for name in names])
        scored = (candidates & ~scores.isnan()).nonzero().tolist()
        quota = math.floor(self.drop * len(scored))
        for edge, operation in sorted(scored, key=lambda pair: float(scores[pair[0], pair[1]])):
            if not quota:
                break
            kept = left[edge] & candidates[edge]
            kept[operation] = False
            lively = bool((kept & passing).any()) or not bool((candidates[edge] & passing).any())
            if names[operation] not in self.protected and int(kept.sum()) >= self.min_ops and lively:
                left[edge, operation] = False
                quota -= 1
        if self.drop_unchosen:
            left &= candidates | ~candidates.any(dim=1, keepdim=True)
        return left
