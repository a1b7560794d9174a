"""The rows of one cell type: for each node some of the edges that enter it, for each of these edges an operation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from search_spaces.architecture import DROPPED

Row = tuple[int, ...]
"""The index of the operation on each edge, `DROPPED` on an edge that is not kept."""


@dataclass(frozen=True)
class Rows:
    """All rows that a cell type may have.

    Attributes:
        candidates: a boolean table ``(edges, operations)``.
        nodes: for each node the edges that enter it and how many of them may be kept.
    """

    candidates: Tensor
    nodes: tuple[tuple[tuple[int, ...], range], ...]

    @classmethod
    def of(cls, edges: Sequence[tuple[int, int]], candidates: Tensor, kept: dict[int, int], fewer: bool) -> Rows:
        """The rows of a cell with these edges; ``kept`` and ``fewer`` are a space's ``inputs`` and ``fewer_inputs``."""
        entering: dict[int, list[int]] = {}
        for edge, (_, node) in enumerate(edges):
            entering.setdefault(node, []).append(edge)
        most = [(tuple(edges), kept.get(node, len(edges))) for node, edges in entering.items()]
        return cls(candidates, tuple((edges, range(1 if fewer else keep, keep + 1)) for edges, keep in most))

    @property
    def options(self) -> list[list[int]]:
        """The operations that each edge may have."""
        return [row.nonzero().flatten().tolist() for row in self.candidates]

    def contains(self, row: Row) -> bool:
        """Whether each kept edge has a candidate and each node the right number of kept edges."""
        if any(choice != DROPPED and not bool(self.candidates[edge, choice]) for edge, choice in enumerate(row)):
            return False
        return all(sum(row[edge] != DROPPED for edge in edges) in keep for edges, keep in self.nodes)

    def subsets(self) -> list[list[tuple[tuple[int, ...], int]]]:
        """For each node the sets of edges it may keep, and how many choices of operations each leaves."""
        counts = self.candidates.sum(dim=1).tolist()
        return [
            [
                (kept, math.prod(counts[edge] for edge in kept))
                for count in keep
                for kept in itertools.combinations(edges, count)
            ]
            for edges, keep in self.nodes
        ]

    def size(self) -> int:
        """The number of rows."""
        return math.prod(sum(count for _, count in node) for node in self.subsets())

    def prior(self) -> Tensor:
        """The share of rows that have each operation ``(edges, operations)``."""
        kept = torch.zeros(len(self.candidates))
        for node in self.subsets():
            total = sum(count for _, count in node)
            for edges, count in node:
                kept[list(edges)] += count / total
        return self.candidates / self.candidates.sum(dim=1, keepdim=True).clamp_min(1) * kept[:, None]

    def sample(self, n: int, generator: Generator) -> list[Row]:
        """Rows drawn uniformly, with replacement."""
        table = self.candidates.float()
        empty = table.sum(dim=1) == 0  # such an edge is never kept; it only must not upset the draw
        choices = torch.multinomial(table + empty[:, None], n, replacement=True, generator=generator).T
        kept = torch.zeros(n, len(table), dtype=torch.bool)
        for node in self.subsets():
            shares = torch.tensor([count for _, count in node], dtype=torch.float64)
            picks = torch.multinomial(shares, n, replacement=True, generator=generator).tolist()
            members = torch.zeros(len(node), len(table), dtype=torch.bool)
            for index, (edges, _) in enumerate(node):
                members[index, list(edges)] = True
            kept |= members[picks]
        return [tuple(row) for row in choices.masked_fill(~kept, DROPPED).tolist()]

    def enumerate(self) -> Iterator[Row]:
        """All rows; where all edges are kept the last one varies fastest."""
        options = self.options
        for subsets in itertools.product(*([edges for edges, _ in node] for node in self.subsets())):
            kept = set().union(*subsets)
            yield from itertools.product(*(options[e] if e in kept else [DROPPED] for e in range(len(options))))

    def neighbours(self, row: Row) -> list[Row]:
        """The rows that are one edit away; see `SearchSpace.neighbours`."""
        options = self.options
        near = [
            _edited(row, {edge: choice})
            for edge, old in enumerate(row)
            for choice in options[edge]
            if DROPPED != old != choice
        ]
        for edges, keep in self.nodes:
            taken = [edge for edge in edges if row[edge] != DROPPED]
            free = [edge for edge in edges if row[edge] == DROPPED]
            for old, new in itertools.product(taken, free):
                same = [row[old]] if row[old] in options[new] else set(options[new]) - set(options[old])
                near += [_edited(row, {old: DROPPED, new: choice}) for choice in sorted(same)]
            if len(taken) - 1 in keep:
                near += [_edited(row, {edge: DROPPED}) for edge in taken]
            if len(taken) + 1 in keep:
                near += [_edited(row, {edge: choice}) for edge in free for choice in options[edge]]
        return near

    def crossover(self, one: Row, other: Row, generator: Generator) -> Row:
        """Each edge from one of two rows, by a fair coin; of a node that keeps some of its inputs, all edges."""
        child = list(one)
        for edges, keep in self.nodes:
            together = keep.start < len(edges)
            coins = torch.randint(2, (1 if together else len(edges),), generator=generator).tolist()
            for edge, coin in zip(edges, coins * len(edges) if together else coins, strict=True):
                child[edge] = one[edge] if coin else other[edge]
        return tuple(child)

    def strongest(self, table: Tensor, threshold: float = -torch.inf) -> Row:
        """For each node the edges with the strongest operation, as many as it may keep, and that operation.

        ``table`` is minus infinity on what is no candidate; beyond a node's first edge, only those above the threshold
        are kept.
        """
        best, choices = table.max(dim=1)
        row = [DROPPED] * len(table)
        for edges, keep in self.nodes:
            ranked = sorted(edges, key=lambda edge: -float(best[edge]))
            for rank, edge in enumerate(ranked[: max(keep)]):
                if rank == 0 or best[edge] > threshold:
                    row[edge] = int(choices[edge])
        return tuple(row)


def _edited(row: Row, changes: dict[int, int]) -> Row:
    return tuple(changes.get(edge, choice) for edge, choice in enumerate(row))
