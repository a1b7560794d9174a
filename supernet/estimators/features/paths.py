"""Path encoding: for each sequence of operations whether a path from input to output has it.

White, Neiswanger and Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture
Search", 2021, arXiv:1910.11858, section 4. A path through ``none`` carries nothing and is no path here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.features.graph import LINK, CellGraph, Choices, graphs

NONE = "none"


@dataclass(frozen=True)
class Block:
    """The sequences of one length between an input and the output of a cell type, a column each.

    Attributes:
        graph: the cell type.
        start: the input.
        length: the number of operations.
        ways: the edges that a path of this length may go along.
    """

    graph: CellGraph
    start: int
    length: int
    ways: tuple[tuple[int, ...], ...]

    @property
    def operations(self) -> list[int]:
        """The indices of those that a path may have."""
        return [index for index, name in enumerate(self.graph.operations) if name != NONE]

    @property
    def size(self) -> int:
        """How many sequences there are."""
        return len(self.operations) ** self.length

    def names(self) -> list[str]:
        """Of the columns: ``path(nor_conv_3x3 > skip_connect)``."""
        begin = [f"input {self.graph.inputs.index(self.start) + 1}"] if len(self.graph.inputs) > 1 else []
        operations = [self.graph.operations[index] for index in self.operations]
        return [f"path({' > '.join([*begin, *several])})" for several in product(operations, repeat=self.length)]

    def columns(self, choices: Choices) -> NDArray[np.bool_]:
        """Whether each sequence is there ``(architectures, size)``.

        Args:
            choices: what is on each edge ``(architectures, edges)``.
        """
        found = np.zeros((len(choices), self.size), dtype=bool)
        digits = np.full(len(self.graph.operations) + 2, -1)
        digits[self.operations] = np.arange(len(self.operations))  # a sequence is a number with these digits
        powers = len(self.operations) ** np.arange(self.length)[::-1]
        for way in self.ways:
            links = [edge for edge in way if self.graph.linked[edge]]
            sequence = digits[choices[:, [edge for edge in way if not self.graph.linked[edge]]]]
            there = (sequence >= 0).all(axis=1) & (choices[:, links] == LINK).all(axis=1)
            found[there, (sequence @ powers)[there]] = True
        return found


class Paths(Features):
    """On NAS-Bench-201 there are 4 + 16 + 64 = 84 sequences; with several cell types ``normal.path(...)``.

    Args:
        task: says which space.
        most: columns at most: longer sequences are left out, all of a length together, where there would be more (as
            the paper does, which finds that the short ones say the most).

    Raises ValueError where not even the shortest sequences fit.
    """

    def __init__(self, task: Task, most: int = 10_000) -> None:
        if not isinstance(most, int) or most < 1:
            raise ValueError(f"most is {most}: it must be a whole number, at least 1")
        self.graphs = graphs(task.space)
        blocks = sorted((block for graph in self.graphs for block in _blocks(graph)), key=lambda block: block.length)
        self.blocks: list[Block] = []
        for _, group in groupby(blocks, key=lambda block: block.length):
            longer = [*self.blocks, *group]
            if sum(block.size for block in longer) > most:
                break
            self.blocks = longer
        if not self.blocks:
            raise ValueError(f"the shortest paths of {task.space.name} alone need more than {most} columns; raise most")
        self.names = tuple(
            f"{block.graph.cell}.{name}" if len(self.graphs) > 1 else name
            for block in self.blocks
            for name in block.names()
        )

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`."""
        choices = {graph.cell: graph.choices(architectures) for graph in self.graphs}
        return np.hstack([block.columns(choices[block.graph.cell]) for block in self.blocks]).astype(np.float64)


def _blocks(graph: CellGraph) -> list[Block]:
    """All of a cell type."""
    found = []
    for start in graph.inputs:
        by_length: dict[int, list[tuple[int, ...]]] = {}
        for way in routes(graph, start):
            by_length.setdefault(sum(not graph.linked[edge] for edge in way), []).append(way)
        found += [Block(graph, start, length, tuple(ways)) for length, ways in by_length.items()]
    return found


def routes(graph: CellGraph, start: int) -> list[tuple[int, ...]]:
    """All ways along edges from an input to the output, whatever is on them."""
    found: list[tuple[int, ...]] = []
    unfinished: list[tuple[tuple[int, ...], int]] = [((), start)]
    while unfinished:
        way, node = unfinished.pop()
        if node == graph.output:
            found.append(way)
        unfinished += [((*way, edge), end) for edge, (source, end) in enumerate(graph.edges) if source == node]
    return sorted(found)
