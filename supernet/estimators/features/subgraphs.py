"""Path lengths and degrees in many subgraphs of many architectures at once.

The subgraph of an architecture and a set of operations has the edges whose operation is in the set. A set is a bit
mask, and all of them are looked at together: arrays ``(architectures, sets, edges)`` with true for an edge that is in
the subgraph. Every edge leads from a node with a smaller number to one with a larger, so that one pass over the nodes
finds the paths of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from supernet.estimators.features.graph import LINK, Choices, Edge

Subgraphs = NDArray[np.bool_]
Counts = NDArray[np.int64]
FAR = 10_000  # more edges than a path can have


def nonempty_sets(operations: int) -> Counts:
    """The bit masks of all sets of operations but the empty one ``(sets,)``."""
    return np.arange(1, 2**operations)


def subgraphs(choices: Choices, sets: Counts) -> Subgraphs:
    """The edges of each subgraph ``(architectures, sets, edges)``; links are in all of them."""
    bits = np.where(choices >= 0, 1 << np.maximum(choices, 0), 0)
    return ((bits[:, None] & sets[:, None]) != 0) | (choices == LINK)[:, None]


def shortest_paths(present: Subgraphs, edges: Sequence[Edge], lengths: Sequence[int], start: int, end: int) -> Counts:
    """The length of the shortest path ``(architectures, sets)``; the number of edges and one more where there is none.

    Args:
        present: from `subgraphs`.
        edges: pairs (source, destination).
        lengths: of each edge.
        start: the node where paths begin.
        end: where they end.
    """
    found = _paths(present, edges, lengths, start, end, np.minimum, FAR)
    return np.where(found >= FAR, len(edges) + 1, found)


def longest_paths(present: Subgraphs, edges: Sequence[Edge], lengths: Sequence[int], start: int, end: int) -> Counts:
    """The length of the longest path ``(architectures, sets)``, 0 where there is none; see `shortest_paths`."""
    return np.maximum(_paths(present, edges, lengths, start, end, np.maximum, -FAR), 0)


def _paths(
    present: Subgraphs, edges: Sequence[Edge], lengths: Sequence[int], start: int, end: int, better: np.ufunc, none: int
) -> Counts:
    """The best length of a path to each node in turn, from those of the nodes before it."""
    reached = {start: np.zeros(present.shape[:2], dtype=np.int64)}
    for node in range(start + 1, end + 1):
        best = np.full(present.shape[:2], none)
        for number, (source, destination) in enumerate(edges):
            if destination == node and source in reached:
                best = better(best, np.where(present[:, :, number], reached[source] + lengths[number], none))
        reached[node] = best
    return reached[end]


def degrees(present: Subgraphs, chosen: Sequence[int]) -> Counts:
    """How many of the chosen edges each subgraph has ``(architectures, sets)``."""
    return present[:, :, list(chosen)].sum(axis=2)


def vertex_subgraphs(present: Subgraphs, edges: Sequence[Edge]) -> Subgraphs:
    """The links between vertices that are in the subgraph, for operations on vertices; see `CellGraph.on_nodes`.

    A link is there where the vertices at both its ends are: those whose operation is in the set, input and output. The
    edges of operations are not there.
    """
    operation_of = {edge: number for number, edge in enumerate(edges)}
    found = np.zeros_like(present)
    for number, (source, node) in enumerate(edges):
        if source % 2 == 0:
            ends = [operation_of.get((source - 1, source)), operation_of.get((node, node + 1))]
            found[:, :, number] = present[:, :, [number, *(end for end in ends if end is not None)]].all(axis=2)
    return found
