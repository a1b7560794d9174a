"""From scores of operations to the operations that stay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from search_spaces.space import SearchSpace
from supernet.warm_start.base import CUTTING, contested

LARGEST_DROP = 1 / 2


class Pruning:
    """Drops the operations of the lowest scores, never so many that an edge has no choice.

    In each cell type the scored pairs of an operation and an edge that has several are walked upwards. A pair is
    dropped while fewer than ``floor(drop * pairs)`` are, unless its edge would keep fewer than ``min_ops`` operations
    that an architecture may choose, or none that passes its input on: so no node is left without input. Pairs that are
    not scored stay. Of a space with a `pool`, every drop of which takes architectures that have the operation
    somewhere, at least half the architectures stay.

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
        if not isinstance(drop, int | float) or not 0 <= drop <= LARGEST_DROP:
            raise ValueError(
                f"drop is {drop}: it must be at least 0 and at most 1/2; dropping more loses the best architectures "
                "with nearly every score"
            )
        if not isinstance(min_ops, int) or min_ops < 1:
            raise ValueError(f"min_ops is {min_ops}: it must be a whole number, at least 1")
        self.drop = drop
        self.min_ops = min_ops
        self.protected = frozenset([protected] if isinstance(protected, str) else protected or ())
        self.drop_unchosen = drop_unchosen

    def check(self, space: SearchSpace) -> None:
        """Raise ValueError for protected operations that the space does not have."""
        known = dict.fromkeys(name for names in space.operations.values() for name in names)
        if unknown := sorted(self.protected - set(known)):
            raise ValueError(f"protected: {space.name} has no operation {unknown[0]}; there are {', '.join(known)}")

    def __call__(self, space: SearchSpace, scores: Mapping[str, Tensor]) -> SearchSpace:
        """What is left of a space, given ``(edges, operations)`` for each cell type; NaN is not scored."""
        self.check(space)
        left = {cell: table.clone() for cell, table in space.allowed.items()}
        pool = _Pool(space)
        quota: dict[str, int] = {}
        walk: list[tuple[float, str, int, int]] = []
        for cell, table in scores.items():
            pairs = contested(space, cell) & ~table.isnan()
            order = table[pairs].argsort(stable=True)
            quota[cell] = math.floor(self.drop * len(order) + 1e-9)
            ranked = pairs.nonzero()[order].tolist()
            walk += [(place / len(ranked), cell, edge, operation) for place, (edge, operation) in enumerate(ranked)]
        for _, cell, edge, operation in sorted(walk, key=lambda step: step[0]):
            if (
                quota[cell]
                and self._may_go(space, cell, left[cell][edge], edge, operation)
                and pool.spares(cell, edge, operation)
            ):
                left[cell][edge, operation] = False
                quota[cell] -= 1
        if self.drop_unchosen:
            for cell, table in left.items():
                candidates = space.candidates(cell)
                table &= candidates | ~candidates.any(dim=1, keepdim=True)
        return space.restrict(left)

    def _may_go(self, space: SearchSpace, cell: str, left: Tensor, edge: int, operation: int) -> bool:
        """Whether an edge, which has these left ``(operations,)``, can do without an operation."""
        names, candidates = space.operations[cell], space.candidates(cell)[edge]
        passing = torch.tensor([name not in CUTTING for name in names])
        kept = left & candidates
        kept[operation] = False
        lively = bool((kept & passing).any()) or not bool((candidates & passing).any())
        return names[operation] not in self.protected and int(kept.sum()) >= self.min_ops and lively


class _Pool:
    """The architectures of a space that are listed, if any; at least half of them stay."""

    def __init__(self, space: SearchSpace) -> None:
        pool = space.pool or ()
        tables = [one.one_hot(space.operations, torch.bool) for one in pool]
        self.has = {cell: torch.stack([table[cell] for table in tables]) for cell in space.edges if tables}
        self.left = torch.ones(len(pool), dtype=torch.bool)

    def spares(self, cell: str, edge: int, operation: int) -> bool:
        """Whether enough are without this operation; those that have it are gone then."""
        if not self.has:
            return True
        without = self.left & ~self.has[cell][:, edge, operation]
        enough = 2 * int(without.sum()) >= len(without)
        if enough:
            self.left = without
        return enough
