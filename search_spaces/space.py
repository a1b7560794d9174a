"""What every search space offers: tables of edges and operations, networks built from them, architectures as text."""

from __future__ import annotations

import copy
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Generator, Tensor
from typing_extensions import Self

from search_spaces.architecture import DROPPED, Allowed, Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.network import Network

ENUMERABLE = 1_000_000
"""Spaces up to this size may be enumerated; larger ones are sampled."""


class SearchSpace(ABC):
    """A family of architectures and the networks that realise them.

    A space does not change: `restrict` returns a smaller one. All networks of a space, the supernet and the
    stand-alone ones, are built by `build` from a table ``allowed``.

    Attributes:
        name: the name of the space's file in ``conf/search_space``.
        edges: for each cell type the pairs (source node, destination node).
        operations: for each cell type the names of the candidate operations.
        allowed: for each cell type a boolean table ``(edges, operations)``.
        inputs: for each cell type how many incoming edges each node keeps; a node that is not named keeps all.
        fewer_inputs: whether a node may also keep fewer of them, but at least one.
        unchosen: operations that a supernet mixes in and no architecture has.
        edge_weights: whether the space's own supernet weighs each edge among those that enter its node.
        pool: the only architectures left, where a filter kept a list of them, else None.
    """

    name: str
    edges: Mapping[str, tuple[tuple[int, int], ...]]
    operations: Mapping[str, tuple[str, ...]]
    allowed: Allowed
    inputs: Mapping[str, Mapping[int, int]] = MappingProxyType({})
    fewer_inputs: bool = False
    unchosen: frozenset[str] = frozenset()
    edge_weights: bool = False
    pool: tuple[Architecture, ...] | None = None
    _members: frozenset[Architecture] = frozenset()
    in_channels: int
    num_classes: int

    @abstractmethod
    def build(self, allowed: Allowed, *, searching: bool, partial_channels: int = 1) -> Network:
        """A network with the operations of ``allowed``.

        Args:
            allowed: for each cell type a boolean table ``(edges, operations)``.
            searching: in the form in which searches train it, above all with batch norms that learn no scale in its
                cells (Liu et al., 2019); else in the form in which a found architecture is trained.
            partial_channels: operations see one of so many parts of the channels (Xu et al., 2020).
        """

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """The architecture a text describes. Raises `ArchitectureError` that says where the text breaks."""

    @abstractmethod
    def format(self, architecture: Architecture) -> str:
        """The text of an architecture; `parse` reads it back."""

    @abstractmethod
    def is_valid(self, architecture: Architecture) -> bool:
        """Whether the output of the network depends on its input."""

    @abstractmethod
    def canonical(self, architecture: Architecture) -> str:
        """A text that is the same for architectures that compute the same function."""

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments that rebuild this (unrestricted) space."""

    def discretize(self, weights: Mapping[str, Tensor]) -> Architecture:
        """The architecture that mixing weights ``(edges, operations)`` stand for, by the space's published rule.

        For each node it keeps the edges with the strongest operations, and of each edge the strongest operation.
        """
        return Architecture.of({cell: self._strongest(cell, self._masked(cell, weights)) for cell in self.edges})

    def _masked(self, cell: str, weights: Mapping[str, Tensor]) -> Tensor:
        """The weights on the processor, minus infinity on what no architecture may have."""
        return weights[cell].detach().cpu().masked_fill(~self.candidates(cell), -torch.inf)

    def _strongest(self, cell: str, table: Tensor, threshold: float = -torch.inf) -> list[int]:
        """Of each node the edges with the strongest operation; beyond the first only those above the threshold."""
        best, choices = table.max(dim=1)
        row = [DROPPED] * len(table)
        for edges, keep in self._nodes(cell):
            ranked = sorted((edge for edge in edges if best[edge] > -torch.inf), key=lambda edge: -float(best[edge]))
            for rank, edge in enumerate(ranked[: max(keep)]):
                if rank == 0 or best[edge] > threshold:
                    row[edge] = int(choices[edge])
        return row

    def short(self, architecture: Architecture) -> str:
        """A few letters for each edge, grouped by destination node: ``nor3 / skip none / avg3 nor1 skip``."""
        nodes: dict[tuple[str, int], list[str]] = {}
        for cell, row in architecture.choices:
            for (_, node), choice in zip(self.edges[cell], row, strict=True):
                if choice >= 0:
                    name = self.operations[cell][choice]
                    letters, kernel = name.partition("_")[0], name[-1] if name[-1].isdigit() else ""
                    nodes.setdefault((cell, node), []).append(letters + kernel)
        return " / ".join(" ".join(edges) for edges in nodes.values())

    def supernet(self, partial_channels: int = 1) -> Network:
        """The network that holds every allowed operation, in the form in which searches train it."""
        return self.build(self.allowed, searching=True, partial_channels=partial_channels)

    def network(self, architecture: Architecture) -> Network:
        """The stand-alone network of one architecture."""
        self.check(architecture)
        return self.build(architecture.allowed(self.operations), searching=False)

    def check(self, architecture: Architecture) -> None:
        """Raise `ArchitectureError` unless the architecture has this space's cells, edges and operations."""
        cells = [cell for cell, _ in architecture.choices]
        if cells != list(self.edges):
            raise ArchitectureError(f"this architecture has cells {cells}, but {self.name} has {list(self.edges)}")
        for cell, row in architecture.choices:
            edges, operations = len(self.edges[cell]), len(self.operations[cell])
            if len(row) != edges or not all(-1 <= choice < operations for choice in row):
                raise ArchitectureError(
                    f"{cell} {row} does not fit {self.name}: {edges} edges, {operations} operations"
                )

    def restrict(self, allowed: Allowed | None = None, pool: Sequence[Architecture] | None = None) -> Self:
        """A copy with fewer operations or with an explicit list of surviving architectures.

        Raises ValueError where an operation comes back that was ruled out before, an edge is left with none, or no
        architecture is left.
        """
        space = copy.copy(self)
        if allowed is not None:
            for cell, table in allowed.items():
                if bool((table & ~self.allowed[cell]).any()):
                    raise ValueError(f"{cell}: a restriction cannot bring back an operation that was ruled out")
                if not bool(table.any(dim=1).all()):
                    raise ValueError(
                        f"{cell}: edges {(~table.any(dim=1)).nonzero().flatten().tolist()} lose all operations"
                    )
            space.allowed = {cell: allowed.get(cell, table).clone() for cell, table in self.allowed.items()}
            if space.size() == 0:
                raise ValueError(f"the restriction leaves no architecture of {self.name}")
        if pool is not None:
            space.pool = tuple(dict.fromkeys(a for a in pool if space.contains(a)))
            space._members = frozenset(space.pool)
            if not space.pool:
                raise ValueError("the pool keeps no architecture of this space")
        return space

    def candidates(self, cell: str) -> Tensor:
        """The boolean table ``(edges, operations)`` of what an architecture may have."""
        named = torch.tensor([name not in self.unchosen for name in self.operations[cell]])
        return self.allowed[cell] & named

    def contains(self, architecture: Architecture) -> bool:
        """Whether it uses allowed operations only, keeps the right number of edges, and is in the pool, if any."""
        for cell, row in architecture.choices:
            table = self.candidates(cell)
            if any(choice != DROPPED and not bool(table[edge, choice]) for edge, choice in enumerate(row)):
                return False
            if any(sum(row[edge] != DROPPED for edge in edges) not in keep for edges, keep in self._nodes(cell)):
                return False
        return self.pool is None or architecture in self._members

    def _nodes(self, cell: str) -> list[tuple[list[int], range]]:
        """For each node with inputs the edges that enter it and how many of them may be kept."""
        entering: dict[int, list[int]] = {}
        for edge, (_, node) in enumerate(self.edges[cell]):
            entering.setdefault(node, []).append(edge)
        kept = self.inputs.get(cell, {})
        most = [(edges, kept.get(node, len(edges))) for node, edges in entering.items()]
        return [(edges, range(1 if self.fewer_inputs else keep, keep + 1)) for edges, keep in most]

    def _subsets(self, cell: str) -> list[list[tuple[tuple[int, ...], int]]]:
        """For each node the sets of edges it may keep, and how many choices of operations each leaves."""
        counts = self.candidates(cell).sum(dim=1).tolist()
        return [
            [
                (kept, math.prod(counts[edge] for edge in kept))
                for count in keep
                for kept in itertools.combinations(edges, count)
            ]
            for edges, keep in self._nodes(cell)
        ]

    def size(self) -> int:
        """The number of architectures."""
        if self.pool is not None:
            return len(self.pool)
        return math.prod(sum(count for _, count in node) for cell in self.edges for node in self._subsets(cell))

    def prior(self) -> dict[str, Tensor]:
        """How often the architectures of this space use each operation: ``(edges, operations)``.

        The rows sum to one; in spaces whose nodes keep some of their inputs, to the share of architectures that keep
        the edge.
        """
        if self.pool is not None:
            tables = [architecture.one_hot(self.operations) for architecture in self.pool]
            return {cell: torch.stack([table[cell] for table in tables]).mean(dim=0) for cell in self.edges}
        prior = {}
        for cell in self.edges:
            kept = torch.zeros(len(self.edges[cell]))
            for node in self._subsets(cell):
                total = sum(count for _, count in node)
                for edges, count in node:
                    kept[list(edges)] += count / total
            table = self.candidates(cell)
            prior[cell] = table / table.sum(dim=1, keepdim=True).clamp_min(1) * kept[:, None]
        return prior

    def sample(self, n: int, generator: Generator) -> list[Architecture]:
        """Architectures drawn uniformly, with replacement."""
        if self.pool is not None:
            return [self.pool[i] for i in torch.randint(len(self.pool), (n,), generator=generator).tolist()]
        drawn: dict[str, Tensor] = {}
        for cell in self.edges:
            table = self.candidates(cell).float()
            empty = table.sum(dim=1) == 0  # such an edge is never kept; it only must not upset the draw
            choices = torch.multinomial(table + empty[:, None], n, replacement=True, generator=generator).T
            kept = torch.zeros(n, len(table), dtype=torch.bool)
            for node in self._subsets(cell):
                shares = torch.tensor([count for _, count in node], dtype=torch.float64)
                picks = torch.multinomial(shares, n, replacement=True, generator=generator).tolist()
                members = torch.zeros(len(node), len(table), dtype=torch.bool)
                for index, (edges, _) in enumerate(node):
                    members[index, list(edges)] = True
                kept |= members[picks]
            drawn[cell] = choices.masked_fill(~kept, DROPPED)
        return [Architecture.of({cell: rows[i].tolist() for cell, rows in drawn.items()}) for i in range(n)]

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, the last edge varying fastest. Raises ValueError for a space that is too large."""
        if self.pool is not None:
            yield from self.pool
            return
        if self.size() > ENUMERABLE:
            raise ValueError(f"{self.name} has {self.size():,} architectures: sample them instead")
        for rows in itertools.product(*(self._rows(cell) for cell in self.edges)):
            yield Architecture.of(dict(zip(self.edges, rows, strict=True)))

    def _rows(self, cell: str) -> list[tuple[int, ...]]:
        """All choices for one cell type."""
        options = [row.nonzero().flatten().tolist() for row in self.candidates(cell)]
        rows: list[tuple[int, ...]] = []
        for subsets in itertools.product(*([edges for edges, _ in node] for node in self._subsets(cell))):
            kept = set().union(*subsets)
            rows += itertools.product(*(options[e] if e in kept else [DROPPED] for e in range(len(options))))
        return rows

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The architectures of this space that are one edit away.

        An edit puts another operation on an edge; where nodes keep only some of their inputs, it may also move an
        operation from a kept edge to another edge of the same node (and change it if neither edge may have the
        other's), and, with `fewer_inputs`, keep an edge more or less.
        """
        near = []
        for cell, row in architecture.choices:
            options = [choices.nonzero().flatten().tolist() for choices in self.candidates(cell)]
            for edge, old in enumerate(row):
                if old != DROPPED:
                    near += [architecture.replace(cell, edge, choice) for choice in options[edge] if choice != old]
            for edges, keep in self._nodes(cell):
                taken = [edge for edge in edges if row[edge] != DROPPED]
                free = [edge for edge in edges if row[edge] == DROPPED]
                for old, new in itertools.product(taken, free):
                    moved = architecture.replace(cell, old, DROPPED)
                    near += [
                        moved.replace(cell, new, choice) for choice in _moved(row[old], options[old], options[new])
                    ]
                if len(taken) - 1 in keep:
                    near += [architecture.replace(cell, edge, DROPPED) for edge in taken]
                if len(taken) + 1 in keep:
                    near += [architecture.replace(cell, edge, choice) for edge in free for choice in options[edge]]
        return near if self.pool is None else [neighbour for neighbour in near if neighbour in self._members]

    def mutate(self, architecture: Architecture, generator: Generator) -> Architecture:
        """A random neighbour. Raises ValueError where there is none."""
        near = self.neighbours(architecture)
        if not near:
            raise ValueError(f"{self.format(architecture)} has no neighbour in this space")
        return near[int(torch.randint(len(near), (), generator=generator))]

    def crossover(self, one: Architecture, other: Architecture, generator: Generator) -> Architecture:
        """Each edge from one of two parents, by a fair coin; of a node that keeps some of its inputs, all edges."""
        mixed = {}
        for cell, mine in one.choices:
            child, theirs = list(mine), other[cell]
            for edges, keep in self._nodes(cell):
                together = keep.start < len(edges)
                coins = torch.randint(2, (1 if together else len(edges),), generator=generator).tolist()
                for edge, coin in zip(edges, coins * len(edges) if together else coins, strict=True):
                    child[edge] = mine[edge] if coin else theirs[edge]
            mixed[cell] = child
        return Architecture.of(mixed)


def _moved(choice: int, there: Sequence[int], here: Sequence[int]) -> Sequence[int]:
    """The operations on a new edge that are one move from an operation on the old one; the relation is symmetric."""
    if choice in here:
        return [choice]
    return [other for other in here if other not in there]
