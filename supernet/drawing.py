"""Pictures of a search: an architecture as a graph, mixing weights as a heat map.

Every figure has a canvas of its own (matplotlib's object-oriented interface), so nothing is kept in global state and
nothing has to be closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.architecture import DROPPED, Architecture

Edge = tuple[int, int]

GAP, RISE = 1.35, 0.56  # inches between neighbouring nodes, and between an arc and one that spans a node more
PAGE = 9.0  # inches: cells stand side by side as long as they fit into this width
INK, PALE = "#333333", "#C4C4C4"
# Okabe and Ito's palette for colour-blind readers, its yellow replaced by a brown that shows on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B")


def draw_genotype(
    edges: Mapping[str, Sequence[Edge]], operations: Mapping[str, Sequence[str]], architecture: Architecture
) -> Figure:
    """The graph of each cell, nodes in order from left to right, each edge labelled with its operation.

    ``none`` is a pale dashed line; an edge that is not kept is left out. An operation has the same colour in every
    drawing of its space.

    Args:
        edges: for each cell type the pairs (source node, destination node).
        operations: for each cell type the names of its operations.
        architecture: an operation index, or `DROPPED`, for each of these edges.
    """
    lanes = {cell: assign_lanes(_kept(edges[cell], architecture[cell])) for cell in edges}
    nodes = {cell: 1 + max(max(edge) for edge in edges[cell]) for cell in edges}
    width = max(GAP * nodes[cell] for cell in edges)
    beside = width * len(edges) <= PAGE
    heights = [RISE * (max(lane.values(), default=0) - min(lane.values(), default=0)) + 1.1 for lane in lanes.values()]
    rows, columns = (1, len(edges)) if beside else (len(edges), 1)
    used = {operations[cell][choice] for cell in edges for choice in architecture[cell] if choice != DROPPED}
    legend = max(1, int(width * columns / 1.5))
    foot = 0.15 + 0.22 * math.ceil(len(used) / legend)
    height = (max(heights) if beside else sum(heights)) + foot
    figure = Figure(figsize=(width * columns, height), dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows, columns, height_ratios=None if beside else heights,
        left=0.01, right=0.99, top=0.99, bottom=foot / height, hspace=0.02, wspace=0.02,
    )  # fmt: skip
    colours = _colours(operations)
    for position, cell in enumerate(edges):
        ax = figure.add_subplot(grid[position])
        names = [None if choice == DROPPED else operations[cell][choice] for choice in architecture[cell]]
        _draw_cell(ax, nodes[cell], dict(zip(edges[cell], names, strict=True)), lanes[cell], colours)
        if len(edges) > 1:
            ax.set_title(cell, fontsize=11, fontweight="bold", color=INK, y=1.0, pad=-11)
    handles = [
        Line2D([], [], color=colour, linewidth=2.2, linestyle=_dash(name), label=name)
        for name, colour in colours.items()
        if name in used
    ]
    figure.legend(handles=handles, loc="lower center", ncols=legend, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def draw_weights(weights: Tensor, edges: Sequence[Edge], operations: Sequence[str]) -> Figure:
    """The mixing weights ``(edges, operations)`` of one cell type as a heat map with the values printed in it."""
    table = weights.detach().float().cpu().numpy()
    figure = Figure(figsize=(1.3 + 0.95 * len(operations), 0.95 + 0.34 * len(edges)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    image = ax.imshow(table, cmap=colormaps["Blues"], vmin=0.0, vmax=1.0, aspect="auto")
    label_table(ax, edges, operations)
    for edge, row in enumerate(table):
        for operation, value in enumerate(row):
            ax.text(
                operation, edge, f"{value:.3f}", ha="center", va="center", fontsize=9,
                color="white" if value > 0.55 else INK, fontweight="bold" if value == row.max() else "normal",
            )  # fmt: skip
    bar = figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, labelcolor=INK)
    return figure


def label_table(ax: Axes, edges: Sequence[Edge], operations: Sequence[str]) -> None:
    """Name the rows and columns of a heat map ``(edges, operations)``, and divide its fields by white lines."""
    ax.set_xticks(range(len(operations)), [_broken(name) for name in operations], fontsize=9)
    ax.set_yticks(range(len(edges)), [f"{source}→{node}" for source, node in edges], fontsize=9)
    ax.tick_params(length=0, labelcolor=INK, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(1, len(operations)) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, len(edges)) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="minor", length=0)


def to_array(figure: Figure) -> NDArray[np.uint8]:
    """The pixels of a figure, ``(height, width, 3)``, 0 to 255."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def assign_lanes(edges: Iterable[Edge]) -> dict[Edge, int]:
    """A height for the arc of each edge over a row of nodes: above it > 0, below it < 0, 0 between neighbours.

    An arc over ``n`` nodes has height ``n``, so a longer arc that shares a node with a shorter one stays outside it and
    no two labels, which stand at the tops, meet. Each arc takes the side that fewer others share with it.
    """
    lanes: dict[Edge, int] = {}
    for source, node in sorted(edges, key=lambda edge: (edge[1] - edge[0], edge)):
        beside = [lane for (a, b), lane in lanes.items() if a < node and source < b]
        side = 1 if sum(lane > 0 for lane in beside) <= sum(lane < 0 for lane in beside) else -1
        lanes[source, node] = side * (node - source - 1)
    return lanes


def _draw_cell(
    ax: Axes, nodes: int, names: Mapping[Edge, str | None], lanes: Mapping[Edge, int], colours: Mapping[str, str]
) -> None:
    for edge, lane in lanes.items():
        name = names[edge]
        assert name is not None
        height = lane * RISE
        arrow = FancyArrowPatch(
            (edge[0] * GAP, 0.0), (edge[1] * GAP, 0.0), arrowstyle="-|>", mutation_scale=13, shrinkA=13, shrinkB=13,
            connectionstyle=f"arc3,rad={-2 * height / ((edge[1] - edge[0]) * GAP)}",
            color=colours[name], linestyle=_dash(name), linewidth=1.0 if name == "none" else 2.0, zorder=1,
        )  # fmt: skip
        ax.add_patch(arrow)
        if name != "none":
            ax.text(
                (edge[0] + edge[1]) * GAP / 2, height, _broken(name), color=colours[name], fontsize=8.5,
                ha="center", va="center", linespacing=0.95, zorder=2,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )  # fmt: skip
    inputs = set(range(nodes)) - {node for _, node in names}
    for node in range(nodes):
        ax.scatter(node * GAP, 0.0, s=420, zorder=3, color="#E8E8E8" if node in inputs else "white", edgecolors=INK)
        ax.text(node * GAP, 0.0, str(node), ha="center", va="center", fontsize=10, color=INK, zorder=4)
    ax.set_xlim(-0.4 * GAP, (nodes - 0.6) * GAP)
    ax.set_ylim(min(lanes.values(), default=0) * RISE - 0.5, max(lanes.values(), default=0) * RISE + 0.6)
    ax.set_aspect("equal")
    ax.set_axis_off()


def _kept(edges: Sequence[Edge], choices: Sequence[int]) -> list[Edge]:
    return [edge for edge, choice in zip(edges, choices, strict=True) if choice != DROPPED]


def _colours(operations: Mapping[str, Sequence[str]]) -> dict[str, str]:
    names = dict.fromkeys(name for cell in operations.values() for name in cell)
    coloured = [name for name in names if name != "none"]
    return {name: PALE if name == "none" else PALETTE[coloured.index(name) % len(PALETTE)] for name in names}


def _dash(name: str) -> Literal["--", "-"]:
    return "--" if name == "none" else "-"


def _broken(name: str) -> str:
    """A long name in two lines, broken at its last underscore."""
    return "\n".join(name.rsplit("_", 1)) if len(name) > 8 else name
