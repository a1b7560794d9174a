"""Pruning by rank: round by round each edge loses the operation that several criteria together miss least.

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective"
(TE-NAS), 2021, arXiv:2102.11535, algorithm 1, and its code. Nothing here knows a network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from search_spaces.architecture import DROPPED, Allowed, Architecture
from search_spaces.space import SearchSpace
from supernet.selection.undecided import inputs, nothing_decided, possible

log = logging.getLogger("supernet")

Removal = tuple[str, int, int | None]
"""What is taken away: cell type, edge and operation, or (None) the whole edge."""

Gains = Callable[[Allowed, Removal], Sequence[float]]
"""By how much what is left would be better without this: a number for each criterion, higher where it is."""

NONE = "none"


def prune(
    space: SearchSpace,
    gains: Gains,
    number: int = 1,
    watch: Callable[[Sequence[Removal]], Iterable[Removal]] = iter,
) -> Architecture:
    """The architecture left when every edge has one operation and every node its inputs.

    ``none`` goes first. Then in each round the removal of every operation that is left is judged, and of each edge
    ``number`` of them go, in `removal_order`; one always stays. At last nodes that keep some of their inputs lose the
    others in the same way, node by node. A removal that would leave no valid architecture (or none of the space's pool)
    is not made.

    Args:
        space: what is pruned; ``unchosen`` operations go with ``none``.
        gains: judges a removal from what is left; 0 is no change.
        number: how many operations an edge loses in a round.
        watch: passes the removals of a round on, for a progress bar.
    """
    left = without_none(space)
    while options := contested(left):
        removals: list[Removal] = [(cell, edge, operation) for cell, edge, operation in options]
        order = removal_order([gains(left, removal) for removal in watch(removals)])
        quota = {(cell, edge): min(number, int(left[cell][edge].sum()) - 1) for cell, edge, _ in options}
        before = left
        for index in order:
            cell, edge, operation = options[index]
            smaller = without(left, (cell, edge, operation))
            if quota[cell, edge] and _possible(space, smaller):
                left, quota[cell, edge] = smaller, quota[cell, edge] - 1
        if left is before:  # never without end
            left = without(left, removals[order[0]])
        log.info("%d operations left", sum(int(table.sum()) for table in left.values()))
    partial = _decided(space, left)
    for cell, kept in space.inputs.items():
        for node, keep in kept.items():
            partial = _keep_inputs(space, partial, cell, node, keep, gains, watch)
    return partial


def removal_order(gains: Sequence[Sequence[float]]) -> list[int]:
    """The indices of removals, the first the one to be made first: that with the smallest sum of ranks.

    A criterion ranks a removal by its gain, the largest first; equal ones share a rank, and the next one follows
    immediately. Of equal sums, the one comes first that the first criterion prefers.
    """
    ranks = [dense_ranks(column) for column in zip(*gains, strict=True)]
    sums = [sum(row) for row in zip(*ranks, strict=True)]
    return sorted(range(len(gains)), key=lambda index: (sums[index], ranks[0][index]))


def dense_ranks(values: Sequence[float]) -> list[int]:
    """0 for the largest value, 1 for the next one that differs, and so on."""
    places = {value: rank for rank, value in enumerate(sorted(set(values), reverse=True))}
    return [places[value] for value in values]


def without_none(space: SearchSpace) -> dict[str, Tensor]:
    """What an architecture may have, without ``none`` where an edge has something else."""
    found = {}
    for cell, names in space.operations.items():
        table = space.candidates(cell)
        others = table & torch.tensor([name != NONE for name in names])
        found[cell] = torch.where(others.any(dim=1, keepdim=True), others, table)
    return found


def contested(allowed: Allowed) -> list[tuple[str, int, int]]:
    """The operations of edges that have more than one."""
    return [
        (cell, edge, operation)
        for cell, table in allowed.items()
        for edge, operation in table.nonzero().tolist()
        if int(table[edge].sum()) > 1
    ]


def without(allowed: Allowed, removal: Removal) -> dict[str, Tensor]:
    """A copy that lacks what a removal takes away."""
    cell, edge, operation = removal
    left = {name: table.clone() for name, table in allowed.items()}
    left[cell][edge if operation is None else (edge, operation)] = False
    return left


def _keep_inputs(
    space: SearchSpace,
    partial: Architecture,
    cell: str,
    node: int,
    keep: int,
    gains: Gains,
    watch: Callable[[Sequence[Removal]], Iterable[Removal]],
) -> Architecture:
    entering = inputs(space, partial, cell, node)
    surplus = len(entering) - keep
    if surplus <= 0:
        return partial
    left = partial.allowed(space.operations)
    removals: list[Removal] = [(cell, edge, None) for edge in entering]
    for index in removal_order([gains(left, removal) for removal in watch(removals)]):
        fewer = partial.replace(cell, entering[index], DROPPED)
        if surplus and possible(space, fewer):
            partial, surplus = fewer, surplus - 1
    return partial


def restricted(space: SearchSpace, left: Mapping[str, Tensor]) -> SearchSpace:
    """The space with these operations; edges that no architecture may have keep theirs, as none may be empty.

    Raises ValueError where no architecture (of the pool, where there is one) has only these.
    """
    return space.restrict(
        {cell: torch.where(table.any(dim=1, keepdim=True), table, space.allowed[cell]) for cell, table in left.items()}
    )


def _possible(space: SearchSpace, left: Mapping[str, Tensor]) -> bool:
    try:
        smaller = restricted(space, left)
    except ValueError:
        return False
    return possible(smaller, nothing_decided(smaller))


def _decided(space: SearchSpace, left: Mapping[str, Tensor]) -> Architecture:
    rows = {cell: table.int().argmax(dim=1).masked_fill(~table.any(dim=1), DROPPED) for cell, table in left.items()}
    return Architecture.of({cell: row.tolist() for cell, row in rows.items()})
