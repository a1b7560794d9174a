"""GRAF: neural graph features, which say of an architecture what a person would count in its picture.

Kadlecová, Lukasik, Pilát, Vidnerová, Safari, Neri and Hutter, "Surprisingly Strong Performance Prediction with Neural
Graph Features", 2024, arXiv:2404.16551, and its code. For each set A of operations, the subgraph G_A of a cell has the
edges whose operation is in A. The features of a cell whose operations are on edges are

* ``op_count(o)``: the number of edges with the operation o;
* ``min_path(A)``: the edges on the shortest path from input to output in G_A, and the number of all edges and one more
  where there is no such path;
* ``max_path(A)``: those on the longest such path, 0 without one;
* ``input_degree(A)``: the edges of G_A that leave the input (the published name of this count is in-degree);
* ``output_degree(A)``: those that enter the output (published as out-degree);
* ``mean_in_degree(A)`` and ``mean_out_degree(A)``: the mean over all nodes of the cell, in G_A; both are the number of
  edges divided by that of nodes and thus equal, and both are kept, as published.

A set is written with pluses: ``min_path(nor_conv_3x3+skip_connect)``. On NAS-Bench-201 these are 5 + 6 * 31 = 191.

Where nodes are put side by side as the cell's output (DARTS's space), every node has a link to it: there is no
``min_path`` and no ``output_degree``, and ``max_path(A, input 1)`` and ``input_degree(A, input 1)`` are given from each
of the two inputs. Where operations are on nodes (NAS-Bench-1Shot1), a path's length is the number of operations on it,
and degrees count the links between vertices: those whose operations are in A, the input and the output. Links are not
counted among the operations, as every architecture has equally many.

A network that is one sequence of layers (NAS-Bench-Macro) has features of our own, see `chain_features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.features.graph import CellGraph, Choices, graphs
from supernet.estimators.features.subgraphs import (
    degrees,
    longest_paths,
    nonempty_sets,
    shortest_paths,
    subgraphs,
    vertex_subgraphs,
)

MOST_OPERATIONS = 10  # with 1,023 sets
AT_A_TIME = 1024  # architectures, so that memory stays small

Columns = dict[str, NDArray[Any]]
"""By the feature's name its values ``(architectures,)``."""


class GRAF(Features):
    """The features of all cell types of a space; with several, a name begins with its cell: ``normal.op_count(...)``.

    Args:
        task: says which space.

    Raises ValueError for a cell with so many operations that the sets of them are too many.
    """

    def __init__(self, task: Task) -> None:
        self.graphs = graphs(task.space)
        for graph in self.graphs:
            if len(graph.operations) > MOST_OPERATIONS:
                raise ValueError(
                    f"{graph.cell} has {len(graph.operations)} operations, and graf looks at every set of them, which "
                    f"is possible for at most {MOST_OPERATIONS}; use features=one_hot"
                )
        self.names = tuple(self._columns([]))

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`."""
        starts = range(0, len(architectures), AT_A_TIME)
        columns = [self._columns(architectures[start : start + AT_A_TIME]) for start in starts]
        tables = [np.stack(list(some.values()), axis=1).astype(np.float64) for some in columns]
        return np.concatenate([np.zeros((0, len(self.names))), *tables])

    def _columns(self, architectures: Sequence[Architecture]) -> Columns:
        found: Columns = {}
        for graph in self.graphs:
            features = chain_features if is_chain(graph) else cell_features
            prefix = f"{graph.cell}." if len(self.graphs) > 1 else ""
            for name, column in features(graph, graph.choices(architectures)).items():
                found[prefix + name] = column
        return found


def cell_features(graph: CellGraph, choices: Choices) -> Columns:
    """The features of one cell type; see the head of this file.

    Args:
        graph: the cell type.
        choices: what architectures have on its edges ``(architectures, edges)``.
    """
    sets = nonempty_sets(len(graph.operations))
    present = subgraphs(choices, sets)
    counted = vertex_subgraphs(present, graph.edges) if graph.on_nodes else present
    lengths = [0 if linked else 1 for linked in graph.linked]
    edges, output = graph.edges, graph.output
    concatenated = graph.kept > 0
    found = op_counts(graph.operations, choices)

    def add(name: str, values: NDArray[Any], which: str = "") -> None:
        for number, mask in enumerate(sets):
            found[f"{name}({set_name(graph.operations, int(mask))}{which})"] = values[:, number]

    for number, start in enumerate(graph.inputs, start=1):
        which = f", input {number}" if len(graph.inputs) > 1 else ""
        if not concatenated:
            add("min_path", shortest_paths(present, edges, lengths, start, output), which)
        add("max_path", longest_paths(present, edges, lengths, start, output), which)
        add("input_degree", degrees(counted, [e for e, (source, _) in enumerate(edges) if source == start]), which)
    if not concatenated:
        add("output_degree", degrees(counted, [e for e, (_, node) in enumerate(edges) if node == output]))
    nodes = 2 + (output - 1) // 2 if graph.on_nodes else graph.nodes
    mean = degrees(counted, range(len(edges) - graph.kept)) / nodes
    add("mean_in_degree", mean)
    add("mean_out_degree", mean)
    return found


def is_chain(graph: CellGraph) -> bool:
    """Whether the cell is a sequence: each node is entered from the one before it alone."""
    return graph.edges == tuple((node, node + 1) for node in range(len(graph.edges)))


def chain_features(graph: CellGraph, choices: Choices) -> Columns:
    """The features of a sequence of layers, where paths and degrees say nothing.

    ``op_count(o)``; ``op_count(o, first 3)``: the number among the first layers, for each number of them; and
    ``longest_run(A)``: the most layers one after another whose operations are in A, for all sets but the full one.
    """
    found = op_counts(graph.operations, choices)
    layers = choices.shape[1]
    for index, name in enumerate(graph.operations):
        so_far = (choices == index).cumsum(axis=1)
        for count in range(1, layers):
            found[f"op_count({name}, first {count})"] = so_far[:, count - 1]
    sets = nonempty_sets(len(graph.operations))[:-1]
    present = subgraphs(choices, sets)
    run = longest = np.zeros(present.shape[:2], dtype=np.int64)
    for layer in range(layers):
        run = np.where(present[:, :, layer], run + 1, 0)
        longest = np.maximum(longest, run)
    for number, mask in enumerate(sets):
        found[f"longest_run({set_name(graph.operations, int(mask))})"] = longest[:, number]
    return found


def op_counts(operations: Sequence[str], choices: Choices) -> Columns:
    """``op_count(o)`` for each operation."""
    return {f"op_count({name})": (choices == index).sum(axis=1) for index, name in enumerate(operations)}


def set_name(operations: Sequence[str], mask: int) -> str:
    """The operations of a bit mask in alphabetical order, with pluses."""
    return "+".join(sorted(name for index, name in enumerate(operations) if mask >> index & 1))
