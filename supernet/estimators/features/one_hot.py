"""One-hot encoding: for each edge and operation whether the edge has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table


class OneHot(Features):
    """Names are as in ``0-3=skip_connect``; with several cell types the cell stands before it: ``normal.0-2=...``.

    There is a column for whatever the unrestricted space may have on an edge; an edge that is not kept has zeros.

    Args:
        task: says which space.
    """

    def __init__(self, task: Task) -> None:
        space = task.space.resized()
        self.columns: dict[str, list[tuple[int, int]]] = {}
        self.edges = {cell: len(edges) for cell, edges in space.edges.items()}
        names = []
        for cell, edges in space.edges.items():
            self.columns[cell] = [(edge, choice) for edge, choice in space.candidates(cell).nonzero().tolist()]
            prefix = f"{cell}." if len(space.edges) > 1 else ""
            for edge, choice in self.columns[cell]:
                source, node = edges[edge]
                names.append(f"{prefix}{source}-{node}={space.operations[cell][choice]}")
        self.names = tuple(names)

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`."""
        parts = []
        for cell, columns in self.columns.items():
            edges, choices = np.array(columns).T
            rows = np.array([one[cell] for one in architectures], dtype=np.int64)
            rows = rows.reshape(len(architectures), self.edges[cell])
            parts.append(rows[:, edges] == choices)
        return np.hstack(parts).astype(np.float64)
