"""Architectures of which some edges are not decided yet."""

from __future__ import annotations

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.space import SearchSpace

UNDECIDED = -2
"""The choice on an edge that still has all its operations."""


def nothing_decided(space: SearchSpace) -> Architecture:
    """All edges undecided but those with one candidate, which they keep, and those with none, which are dropped."""
    rows = {}
    for cell in space.edges:
        options = [row.nonzero().flatten().tolist() for row in space.candidates(cell)]
        rows[cell] = [UNDECIDED if len(few) > 1 else few[0] if few else DROPPED for few in options]
    return Architecture.of(rows)


def inputs(space: SearchSpace, partial: Architecture, cell: str, node: int) -> list[int]:
    """The edges that enter a node and are not dropped."""
    ends = enumerate(space.edges[cell])
    return [edge for edge, (_, end) in ends if end == node and partial[cell][edge] != DROPPED]


def possible(space: SearchSpace, partial: Architecture) -> bool:
    """Whether these decisions leave a valid architecture (of the pool, where there is one).

    Nodes whose inputs are not decided count with all of them: if the output depends on the input then, some of them
    will do.
    """
    if space.pool is not None:
        return any(_fits(partial, member) and space.is_valid(member) for member in space.pool)
    most = max(map(len, space.operations.values()))
    return any(space.is_valid(_filled(space, partial, operation)) for operation in range(most))


def _filled(space: SearchSpace, partial: Architecture, operation: int) -> Architecture:
    """With one operation on all undecided edges that may have it, and the last candidate on the others."""
    rows = {}
    for cell, row in partial.choices:
        options = [few.nonzero().flatten().tolist() for few in space.candidates(cell)]
        fills = [operation if operation in few else few[-1] if few else DROPPED for few in options]
        rows[cell] = [fill if choice == UNDECIDED else choice for choice, fill in zip(row, fills, strict=True)]
    return Architecture.of(rows)


def _fits(partial: Architecture, member: Architecture) -> bool:
    """Whether further decisions can lead to this architecture: operations it drops may still be dropped."""
    return all(
        mine in (UNDECIDED, its) or its == DROPPED
        for (_, row), (_, other) in zip(partial.choices, member.choices, strict=True)
        for mine, its in zip(row, other, strict=True)
    )
