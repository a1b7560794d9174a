"""A cell: a directed acyclic graph whose edges carry (mixtures of) operations and whose nodes sum their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operations import Operation, build


@dataclass(frozen=True)
class Group:
    """The edges that leave one node and may use one operation: they are computed together."""

    source: int
    operation: str
    edges: tuple[int, ...]
    destinations: tuple[int, ...]

    @property
    def key(self) -> str:
        """The group's name inside a cell; it does not change when other operations are removed."""
        return f"{self.source}_{self.operation}"


class Wiring(nn.Module):
    """Which operations run on which edges of a cell type; all cells of that type share it.

    ``edges`` are pairs (source, destination) with source < destination, ``allowed`` is a boolean table
    ``(edges, operations)``. The operation ``none`` gives zeros and is never computed.
    """

    order: Tensor

    def __init__(self, edges: Sequence[tuple[int, int]], operations: Sequence[str], allowed: Tensor) -> None:
        super().__init__()
        self.nodes = 1 + max(destination for _, destination in edges)
        self.groups: list[Group] = []
        order: list[int] = []
        for source in range(self.nodes - 1):
            leaving = [edge for edge, (start, _) in enumerate(edges) if start == source]
            for index, name in enumerate(operations):
                used = tuple(edge for edge in leaving if bool(allowed[edge, index]))
                if used and name != "none":
                    self.groups.append(Group(source, name, used, tuple(edges[edge][1] for edge in used)))
                    order += [edge * len(operations) + index for edge in used]
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)

    def split(self, weights: Tensor) -> tuple[Tensor, ...]:
        """Mixing weights ``(edges, operations)`` as one vector ``(copies,)`` for each group, in one gather."""
        return weights.flatten().index_select(0, self.order).split([len(group.edges) for group in self.groups])


class Cell(nn.Module):
    """One cell: node 0 is its input, every other node the sum of its incoming edges, the last node its output."""

    def __init__(self, cell_type: str, wiring: Wiring, channels: int, affine: bool) -> None:
        super().__init__()
        self.cell_type = cell_type
        self.nodes = wiring.nodes
        self.groups = wiring.groups
        self.operations = nn.ModuleDict(
            {group.key: build(group.operation, len(group.edges), channels, affine) for group in wiring.groups}
        )

    def forward(self, x: Tensor, weights: Sequence[Tensor] | None = None) -> Tensor:
        """The output ``(batch, channels, h, w)``; without ``weights`` (from `Wiring.split`) each edge counts once."""
        nodes: list[Tensor | None] = [x, *[None] * (self.nodes - 1)]
        for source in range(self.nodes - 1):
            value = nodes[source]
            value = torch.zeros_like(x) if value is None else value
            sums: dict[tuple[int, ...], Tensor] = {}
            activated: Tensor | None = None
            for index, group in enumerate(self.groups):
                if group.source != source:
                    continue
                operation = self.operations[group.key]
                assert isinstance(operation, Operation)
                if operation.takes_relu and activated is None:
                    activated = F.relu(value)
                y = operation(activated if operation.takes_relu else value, None if weights is None else weights[index])
                sums[group.destinations] = sums[group.destinations] + y if group.destinations in sums else y
            for destinations, y in sums.items():
                for node, part in zip(destinations, y.unbind(1), strict=True):
                    total = nodes[node]
                    nodes[node] = part if total is None else total + part
        output = nodes[-1]
        return torch.zeros_like(x) if output is None else output

    @torch.no_grad()
    def inherit(self, parent: Cell) -> None:
        """Overwrite this cell's tensors with the parent's; of a batched operation, with the edges that are here."""
        theirs = {group.key: group for group in parent.groups}
        for group in self.groups:
            source = theirs[group.key]
            rows = [source.edges.index(edge) for edge in group.edges]
            tensors = parent.operations[group.key].state_dict()
            for name, tensor in self.operations[group.key].state_dict().items():
                if name not in tensors:  # the parent's batch norm learns no scale; ours starts as the same function
                    continue
                if tensor.dim() == 0:
                    tensor.copy_(tensors[name])
                else:
                    tensor.copy_(tensors[name].unflatten(0, (len(source.edges), -1))[rows].flatten(0, 1))
