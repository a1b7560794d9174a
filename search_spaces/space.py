"""What every search space offers: tables of edges and operations, networks built from them, architectures as text."""

from __future__ import annotations

import copy
import inspect
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
from search_spaces.operations import Builder
from search_spaces.rows import Rows
from search_spaces.text import format_cell, parse_cell

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
        extra_operations: a user's own operations by name, next to those of the space.
        edge_weights: whether the space's own supernet weighs each edge among those that enter its node.
        least_depth: the constructor arguments that make networks as short as they can be.
        pool: the only architectures left, where a filter kept a list of them, else None.
    """

    name: str
    edges: Mapping[str, tuple[tuple[int, int], ...]]
    operations: Mapping[str, tuple[str, ...]]
    allowed: Allowed
    inputs: Mapping[str, Mapping[int, int]] = MappingProxyType({})
    fewer_inputs: bool = False
    unchosen: frozenset[str] = frozenset()
    extra_operations: Mapping[str, Builder] = MappingProxyType({})
    edge_weights: bool = False
    least_depth: Mapping[str, int] = MappingProxyType({})
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

    def format(self, architecture: Architecture) -> str:
        """The text of an architecture; `parse` reads it back.

        Unless overridden, each cell type as `search_spaces.text.format_cell` writes it, with several ``type:text;...``.
        """
        self.check(architecture)
        texts = {cell: format_cell(self.edges[cell], self.operations[cell], row) for cell, row in architecture.choices}
        return ";".join(f"{cell}:{text}" if len(texts) > 1 else text for cell, text in texts.items())

    def parse(self, text: str) -> Architecture:
        """The architecture a text describes; what stands between its tokens may be spaced.

        Raises `ArchitectureError` that names the cell, the node and the token where the text breaks.
        """
        several, compact = len(self.edges) > 1, "".join(text.split())
        named = [part.partition(":")[::2] for part in compact.split(";")] if several else [(*self.edges, compact)]
        if [cell for cell, _ in named] != list(self.edges):
            form = ";".join(f"{cell}:..." for cell in self.edges)
            raise ArchitectureError(f"{text!r} has not the cells `{form}`, as in {self._example()!r}")
        rows = {}
        for cell, part in named:
            try:
                rows[cell] = self._parse_row(cell, part)
            except ArchitectureError as error:
                raise ArchitectureError(f"{cell}: {error}" if several else str(error)) from error
        return Architecture.of(rows)

    def _parse_row(self, cell: str, text: str) -> list[int]:
        edges, operations, kept = self.edges[cell], self.operations[cell], dict(self.inputs.get(cell, {}))
        if self.fewer_inputs:
            for node, group in zip(dict.fromkeys(node for _, node in edges), text.split("+"), strict=False):
                kept[node] = min(kept.get(node, len(edges)), max(1, group.count("~")))
        known = [name for name in operations if name not in self.unchosen]
        row = parse_cell(text, edges, known, kept, self._example())
        return [DROPPED if choice == DROPPED else operations.index(known[choice]) for choice in row]

    def _example(self) -> str:
        return self.format(self.sample(1, Generator().manual_seed(0))[0])

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether the output of the network depends on its input.

        Unless overridden, whether a path without ``none`` leads to the last node of each cell type.
        """
        return all(self._leads_on(cell, row) for cell, row in architecture.choices)

    def _leads_on(self, cell: str, row: Sequence[int]) -> bool:
        edges = self.edges[cell]
        reached = {source for source, _ in edges} - {node for _, node in edges}
        for (source, node), choice in sorted(zip(edges, row, strict=True)):
            if source in reached and choice != DROPPED and self.operations[cell][choice] != "none":
                reached.add(node)
        return max(node for _, node in edges) in reached

    def canonical(self, architecture: Architecture) -> str:
        """A text that is the same for architectures that compute the same function, as far as the space knows."""
        return self.format(architecture)

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments that rebuild this (unrestricted) space, as plain values.

        Each is kept in an attribute of its name; `extra_operations` are not among them.
        """
        names = [name for name in inspect.signature(type(self)).parameters if name != "extra_operations"]
        return {name: getattr(self, name) for name in names}

    def resized(self, **changes: Any) -> Self:
        """The (unrestricted) space with other constructor arguments, such as its channels."""
        extra = {"extra_operations": self.extra_operations} if self.extra_operations else {}
        return type(self)(**{**self.arguments, **changes}, **extra)

    def thin(self, channels: int) -> Self:
        """This space with networks of so many channels and of the least depth, its restrictions kept."""
        known = self.arguments
        changes = {name: value for name, value in {**self.least_depth, "channels": channels}.items() if name in known}
        return self.resized(**changes).restrict(self.allowed, self.pool)

    def discretize(self, weights: Mapping[str, Tensor]) -> Architecture:
        """The architecture that mixing weights ``(edges, operations)`` stand for, by the space's published rule.

        For each node it keeps the edges with the strongest operations, and of each edge the strongest operation.
        """
        return Architecture.of({cell: self.rows(cell).strongest(self.masked(cell, weights)) for cell in self.edges})

    def decode(self, weights: Mapping[str, Tensor]) -> Architecture:
        """The architecture of this space that mixing weights ``(edges, operations)`` stand for.

        Without a `pool` that is `discretize`. With one it is the member with the largest mean, over the edges it
        keeps, of the logarithm of its operation's weight, of equals the first.
        """
        if self.pool is None:
            return self.discretize(weights)
        total, kept = torch.zeros(len(self.pool), dtype=torch.float64), torch.zeros(len(self.pool), dtype=torch.float64)
        for cell in self.edges:
            rows = torch.tensor([member[cell] for member in self.pool])
            logarithms = weights[cell].detach().cpu().double().clamp_min(torch.finfo(torch.float64).tiny).log()
            values = logarithms[torch.arange(rows.shape[1]), rows.clamp_min(0)]
            total += (values * (rows >= 0)).sum(dim=1)
            kept += (rows >= 0).sum(dim=1)
        return self.pool[int((total / kept).argmax())]

    def masked(self, cell: str, weights: Mapping[str, Tensor]) -> Tensor:
        """The weights of a cell type on the processor, minus infinity on what no architecture may have."""
        return weights[cell].detach().cpu().masked_fill(~self.candidates(cell), -torch.inf)

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
            pool = self.pool if pool is None else pool
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

    def rows(self, cell: str) -> Rows:
        """What this space's architectures may have for a cell type, a `pool` left aside."""
        kept = dict(self.inputs.get(cell, {}))
        return Rows.of(self.edges[cell], self.candidates(cell), kept, self.fewer_inputs)

    def contains(self, architecture: Architecture) -> bool:
        """Whether it uses allowed operations only, keeps the right number of edges, and is in the pool, if any."""
        if not all(self.rows(cell).contains(row) for cell, row in architecture.choices):
            return False
        return self.pool is None or architecture in self._members

    def size(self) -> int:
        """The number of architectures."""
        return math.prod(self.rows(cell).size() for cell in self.edges) if self.pool is None else len(self.pool)

    def prior(self) -> dict[str, Tensor]:
        """How often the architectures of this space use each operation: ``(edges, operations)``.

        The rows sum to one; in spaces whose nodes keep some of their inputs, to the share of architectures that keep
        the edge.
        """
        if self.pool is None:
            return {cell: self.rows(cell).prior() for cell in self.edges}
        tables = [architecture.one_hot(self.operations) for architecture in self.pool]
        return {cell: torch.stack([table[cell] for table in tables]).mean(dim=0) for cell in self.edges}

    def sample(self, n: int, generator: Generator) -> list[Architecture]:
        """Architectures drawn uniformly, with replacement."""
        if self.pool is not None:
            return [self.pool[i] for i in torch.randint(len(self.pool), (n,), generator=generator).tolist()]
        drawn = [self.rows(cell).sample(n, generator) for cell in self.edges]
        return [Architecture.of(dict(zip(self.edges, rows, strict=True))) for rows in zip(*drawn, strict=True)]

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, the last edge varying fastest. Raises ValueError for a space that is too large."""
        if self.pool is not None:
            yield from self.pool
            return
        if self.size() > ENUMERABLE:
            raise ValueError(f"{self.name} has {self.size():,} architectures: sample them instead")
        for rows in itertools.product(*(self.rows(cell).enumerate() for cell in self.edges)):
            yield Architecture.of(dict(zip(self.edges, rows, strict=True)))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The architectures of this space that are one edit away.

        An edit puts another operation on an edge; where nodes keep only some of their inputs, it may also move an
        operation from a kept edge to another edge of the same node (and change it if neither edge may have the
        other's), and, with `fewer_inputs`, keep an edge more or less.
        """
        near = [
            Architecture.of({**dict(architecture.choices), cell: edited})
            for cell, row in architecture.choices
            for edited in self.rows(cell).neighbours(row)
        ]
        return near if self.pool is None else [neighbour for neighbour in near if neighbour in self._members]

    def mutate(self, architecture: Architecture, generator: Generator) -> Architecture:
        """A random neighbour. Raises ValueError where there is none."""
        near = self.neighbours(architecture)
        if not near:
            raise ValueError(f"{self.format(architecture)} has no neighbour in this space")
        return near[int(torch.randint(len(near), (), generator=generator))]

    def crossover(self, one: Architecture, other: Architecture, generator: Generator) -> Architecture:
        """Each edge from one of two parents, by a fair coin; of a node that keeps some of its inputs, all edges."""
        return Architecture.of(
            {cell: self.rows(cell).crossover(mine, other[cell], generator) for cell, mine in one.choices}
        )
