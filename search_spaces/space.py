"""What every search space offers: tables of edges and operations, networks built from them, architectures as text."""

from __future__ import annotations

import copy
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Generator, Tensor
from typing_extensions import Self

from search_spaces.architecture import Allowed, Architecture
from search_spaces.network import Network

ENUMERABLE = 1_000_000
"""Spaces up to this size may be enumerated; larger ones are sampled."""


class ArchitectureError(ValueError):
    """A text or a value that is no architecture of the space; the message says where it breaks."""


class SearchSpace(ABC):
    """A family of architectures and the networks that realise them.

    A space does not change: `restrict` returns a smaller one. All networks of a space, the supernet and the
    stand-alone ones, are built by `build` from a table ``allowed``.

    Attributes:
        name: the name of the space's file in ``conf/search_space``.
        edges: for each cell type the pairs (source node, destination node).
        operations: for each cell type the names of the candidate operations.
        allowed: for each cell type a boolean table ``(edges, operations)``.
        pool: the only architectures left, where a filter kept a list of them, else None.
    """

    name: str
    edges: Mapping[str, tuple[tuple[int, int], ...]]
    operations: Mapping[str, tuple[str, ...]]
    allowed: Allowed
    pool: tuple[Architecture, ...] | None = None
    _members: frozenset[Architecture] = frozenset()
    in_channels: int
    num_classes: int

    @abstractmethod
    def build(self, allowed: Allowed, *, affine: bool) -> Network:
        """A network with the operations of ``allowed``; ``affine``: whether the cells' batch norms learn a scale."""

    @abstractmethod
    def discretize(self, weights: Mapping[str, Tensor]) -> Architecture:
        """The architecture that mixing weights ``(edges, operations)`` stand for, by the space's published rule."""

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
    def arguments(self) -> dict[str, int]:
        """The constructor arguments that rebuild this (unrestricted) space."""

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

    def supernet(self) -> Network:
        """The network that holds every allowed operation; its cells' batch norms learn no scale (Liu et al., 2019)."""
        return self.build(self.allowed, affine=False)

    def network(self, architecture: Architecture) -> Network:
        """The stand-alone network of one architecture."""
        self.check(architecture)
        return self.build(architecture.allowed(self.operations), affine=True)

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

        Raises ValueError where an operation comes back that was ruled out before, or an edge is left with none.
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
        if pool is not None:
            space.pool = tuple(dict.fromkeys(a for a in pool if space.contains(a)))
            space._members = frozenset(space.pool)
            if not space.pool:
                raise ValueError("the pool keeps no architecture of this space")
        return space

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture uses allowed operations only and, where there is a pool, is in it."""
        tables = architecture.allowed(self.operations)
        fits = all(not bool((tables[cell] & ~self.allowed[cell]).any()) for cell in self.edges)
        return fits and (self.pool is None or architecture in self._members)

    def size(self) -> int:
        """The number of architectures."""
        if self.pool is not None:
            return len(self.pool)
        return math.prod(int(count) for table in self.allowed.values() for count in table.sum(dim=1))

    def prior(self) -> dict[str, Tensor]:
        """How often the architectures of this space use each operation: ``(edges, operations)``, rows sum to one."""
        if self.pool is not None:
            tables = [architecture.one_hot(self.operations) for architecture in self.pool]
            return {cell: torch.stack([table[cell] for table in tables]).mean(dim=0) for cell in self.edges}
        return {cell: table / table.sum(dim=1, keepdim=True) for cell, table in self.allowed.items()}

    def sample(self, n: int, generator: Generator) -> list[Architecture]:
        """``n`` architectures drawn uniformly, with repetition."""
        if self.pool is not None:
            return [self.pool[i] for i in torch.randint(len(self.pool), (n,), generator=generator).tolist()]
        rows = {
            cell: torch.multinomial(table.float(), n, replacement=True, generator=generator).T.tolist()
            for cell, table in self.allowed.items()
        }
        return [Architecture.of({cell: rows[cell][i] for cell in rows}) for i in range(n)]

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, the last edge varying fastest. Raises ValueError for a space that is too large."""
        if self.pool is not None:
            yield from self.pool
            return
        if self.size() > ENUMERABLE:
            raise ValueError(f"{self.name} has {self.size():,} architectures: sample them instead")
        choices = {cell: [row.nonzero().flatten().tolist() for row in table] for cell, table in self.allowed.items()}
        for rows in itertools.product(*(itertools.product(*choices[cell]) for cell in choices)):
            yield Architecture.of(dict(zip(choices, rows, strict=True)))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The architectures of this space that differ on exactly one edge."""
        near = [
            architecture.replace(cell, edge, choice)
            for cell, row in architecture.choices
            for edge, old in enumerate(row)
            for choice in self.allowed[cell][edge].nonzero().flatten().tolist()
            if choice != old
        ]
        return near if self.pool is None else [neighbour for neighbour in near if neighbour in self._members]

    def mutate(self, architecture: Architecture, generator: Generator) -> Architecture:
        """A random neighbour. Raises ValueError where there is none."""
        near = self.neighbours(architecture)
        if not near:
            raise ValueError(f"{self.format(architecture)} has no neighbour in this space")
        return near[int(torch.randint(len(near), (), generator=generator))]

    def crossover(self, one: Architecture, other: Architecture, generator: Generator) -> Architecture:
        """Each edge from one of two parents, by a fair coin."""
        mixed = {}
        for (cell, mine), (_, theirs) in zip(one.choices, other.choices, strict=True):
            coins = torch.randint(2, (len(mine),), generator=generator).tolist()
            mixed[cell] = [a if coin else b for a, b, coin in zip(mine, theirs, coins, strict=True)]
        return Architecture.of(mixed)
