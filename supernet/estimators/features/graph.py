"""Cells as labelled graphs: which edges there are between input and output, and what each architecture has on them.

Operations are on edges everywhere. Where a space also has edges without a choice of operation, such as those from a
node to the output that puts all nodes side by side, these are links: a path may always use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import BLOCK, NASBench1Shot1
from search_spaces.space import SearchSpace

Choices = NDArray[np.int64]
"""For each architecture and edge the index of the operation, `DROPPED` on an edge that is not kept, or `LINK`."""
LINK = -2

Edge = tuple[int, int]


@dataclass(frozen=True)
class CellGraph:
    """A cell type.

    Attributes:
        cell: its name.
        edges: pairs (source node, destination node); a source has a smaller number than its destination.
        operations: the names of what an architecture may have on an edge.
        inputs: the nodes that images come in at.
        output: the node that they leave at.
        linked: for each edge whether it is a link wherever it is kept.
        index: for each operation of the space its index among ``operations``; `DROPPED` for one that is not chosen.
        kept: how many of the last edges are in every architecture, without a choice.
        on_nodes: whether an operation is a vertex of the published graph, entered and left by links: those into vertex
            v end at the node ``2v - 1``, those out of it begin at ``2v``.
    """

    cell: str
    edges: tuple[Edge, ...]
    operations: tuple[str, ...]
    inputs: tuple[int, ...]
    output: int
    linked: tuple[bool, ...]
    index: tuple[int, ...]
    kept: int = 0
    on_nodes: bool = False

    @property
    def nodes(self) -> int:
        """How many there are."""
        return self.output + 1

    def choices(self, architectures: Sequence[Architecture]) -> Choices:
        """What is on each edge ``(architectures, edges)``."""
        free = len(self.edges) - self.kept
        raw = np.array([one[self.cell] for one in architectures], dtype=np.int64).reshape(len(architectures), free)
        found = np.array([*self.index, DROPPED], dtype=np.int64)[raw]  # the last one answers for DROPPED, which is -1
        linked = np.array(self.linked[:free], dtype=bool)
        found = np.where(linked & (raw != DROPPED), LINK, found)
        return np.hstack([found, np.full((len(architectures), self.kept), LINK)])


@singledispatch
def graphs(space: SearchSpace) -> tuple[CellGraph, ...]:
    """The cell types of a space: operations on edges, the last node is the output unless a space is known to differ."""
    return tuple(_edge_labelled(space, cell) for cell in space.edges)


@graphs.register
def _(space: DARTS) -> tuple[CellGraph, ...]:
    return tuple(_concatenated(_edge_labelled(space, cell)) for cell in space.edges)


@graphs.register
def _(space: NASBench1Shot1) -> tuple[CellGraph, ...]:
    found = []
    for cell, edges in space.edges.items():
        index = tuple(BLOCK.index(name) if name in BLOCK else DROPPED for name in space.operations[cell])
        links = tuple(source % 2 == 0 for source, _ in edges)
        found.append(CellGraph(cell, tuple(edges), BLOCK, (0,), _last(edges), links, index, on_nodes=True))
    return tuple(found)


def _edge_labelled(space: SearchSpace, cell: str) -> CellGraph:
    edges, names = tuple(space.edges[cell]), space.operations[cell]
    chosen = tuple(name for name in names if name not in space.unchosen)
    inputs = tuple(sorted({source for source, _ in edges} - {node for _, node in edges}))
    index = tuple(chosen.index(name) if name in chosen else DROPPED for name in names)
    return CellGraph(cell, edges, chosen, inputs, _last(edges), (False,) * len(edges), index)


def _concatenated(graph: CellGraph) -> CellGraph:
    """The same with an output that puts all nodes but the inputs side by side."""
    output = graph.output + 1
    links = tuple((node, output) for node in range(output) if node not in graph.inputs)
    return CellGraph(
        graph.cell, graph.edges + links, graph.operations, graph.inputs, output,
        graph.linked + (True,) * len(links), graph.index, kept=len(links),
    )  # fmt: skip


def _last(edges: Sequence[Edge]) -> int:
    return max(node for _, node in edges)
