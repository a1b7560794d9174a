"""Which operations run on which edges of a cell type, and the arrangement of their mixing weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from search_spaces.layers import per_channel


@dataclass(frozen=True)
class Group:
    """The edges that leave one node and may use one operation: they are computed together."""

    source: int
    operation: str
    index: int
    edges: tuple[int, ...]
    destinations: tuple[int, ...]

    @property
    def key(self) -> str:
        """The group's name inside a cell; it does not change when other operations are removed."""
        return f"{self.source}_{self.operation}"


Piece = tuple[Tensor | None, slice | None, tuple[int, ...]]
"""Some edges of a group: their weights, which copies of the operation they are (None: all), where they lead."""


@dataclass(frozen=True)
class Mixture:
    """The mixing weights of a cell type, arranged for its cells by `Wiring.split`.

    Attributes:
        operations: a vector ``(copies,)`` for each group.
        channels: for some numbers of channels the same vectors, each weight repeated for every channel:
            ``(copies, channels)``.
        bypass: for each source node the weights of the edges that leave it, None where they count once.
        rows: for each group the runs of copies that are computed, None for all.
    """

    operations: tuple[Tensor, ...]
    channels: Mapping[int, tuple[Tensor, ...]]
    bypass: tuple[Tensor, ...] | None = None
    rows: tuple[tuple[slice, ...], ...] | None = None

    def pieces(self, index: int, group: Group, shared: bool, channels: int) -> list[Piece]:
        """What of a group is computed, in as few pieces as its runs of copies need; in one where they are `shared`.

        The weights are for so many ``channels`` where there are such, and one for each edge where they are `shared`.
        """
        weights = self.operations[index] if shared else self.channels.get(channels, self.operations)[index]
        if self.rows is None:
            return [(weights, None, group.destinations)]
        pieces: list[Piece] = [(weights[rows], rows, group.destinations[rows]) for rows in self.rows[index]]
        if shared and len(pieces) > 1:
            weights = torch.cat([weights[rows] for rows in self.rows[index]])
            destinations = tuple(itertools.chain.from_iterable(group.destinations[rows] for rows in self.rows[index]))
            return [(weights, slice(0, len(destinations)), destinations)]
        return pieces


class Wiring(nn.Module):
    """Which operations run on which edges of a cell type; all cells of that type share it.

    The operation ``none`` gives zeros and is never computed.

    Args:
        edges: pairs (source, destination) with source < destination.
        operations: the names of the candidates.
        allowed: a boolean table ``(edges, operations)``.
        inputs: how many nodes, the first ones, are the cell's inputs.
        output: ``last``: the value of the last node; ``concat``: all nodes but the inputs, side by side.
        strides: the stride of the edges that leave a node, 1 where it is not named.
    """

    order: Tensor
    leaving_order: Tensor

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[str],
        allowed: Tensor,
        *,
        inputs: int = 1,
        output: Literal["last", "concat"] = "last",
        strides: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.nodes = 1 + max(destination for _, destination in edges)
        self.inputs = inputs
        self.output = output
        self.strides = [(strides or {}).get(source, 1) for source in range(self.nodes)]
        self.scales = [1] * self.nodes  # by how much a node's map is smaller than the cell's input
        for source, destination in edges:
            self.scales[destination] = self.scales[source] * self.strides[source]
        self.groups: list[Group] = []
        self.leaving: list[tuple[int, ...]] = []  # for each source the destinations of the edges that do something
        order: list[int] = []
        leaving_order: list[int] = []
        for source in range(self.nodes - 1):
            leaving = [edge for edge, (start, _) in enumerate(edges) if start == source and bool(allowed[edge].any())]
            self.leaving.append(tuple(edges[edge][1] for edge in leaving))
            leaving_order += leaving
            for index, name in enumerate(operations):
                used = tuple(edge for edge in leaving if bool(allowed[edge, index]))
                if used and name != "none":
                    self.groups.append(Group(source, name, index, used, tuple(edges[edge][1] for edge in used)))
                    order += [edge * len(operations) + index for edge in used]
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)
        self.register_buffer("leaving_order", torch.tensor(leaving_order, dtype=torch.long), persistent=False)

    def split(
        self,
        weights: Tensor,
        edges: Tensor | None = None,
        only: Sequence[int] | None = None,
        channels: Iterable[int] = (),
    ) -> Mixture:
        """Arrange mixing weights ``(edges, operations)`` for the cells, in one gather.

        Args:
            weights: the mixing weights.
            edges: a factor for each edge as a whole ``(edges,)``, on its operations and on the channels that bypass
                them; None for one.
            only: the index of the only operation to run on each edge; None runs all.
            channels: the widths of the cells' operations.
        """
        if edges is not None:
            weights = weights * edges[:, None]
        sizes = [len(group.edges) for group in self.groups]
        flat = weights.flatten().index_select(0, self.order)
        wide = {width: per_channel(flat, width).split(sizes) for width in channels}
        bypass = None
        if edges is not None:
            bypass = edges.index_select(0, self.leaving_order).split([len(leaving) for leaving in self.leaving])
        rows = None
        if only is not None:
            rows = tuple(tuple(runs(only[edge] == group.index for edge in group.edges)) for group in self.groups)
        return Mixture(flat.split(sizes), wide, bypass, rows)


def runs(flags: Iterable[bool]) -> list[slice]:
    """The stretches of consecutive True, as slices."""
    found: list[slice] = []
    for position, flag in enumerate(flags):
        if flag and found and found[-1].stop == position:
            found[-1] = slice(found[-1].start, position + 1)
        elif flag:
            found.append(slice(position, position + 1))
    return found
