"""A picture of a warm start: the scores of all operations, with those crossed out that were dropped."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from search_spaces.space import SearchSpace
from supernet.drawing import INK, label_table
from supernet.warm_start.base import Outcome


def draw_outcome(space: SearchSpace, outcome: Outcome) -> Figure:
    """A heat map ``(edges, operations)`` for each cell type: the scores, or without them which operations are left.

    What was dropped is crossed out; what no architecture may choose, and what was ruled out before, is left white.
    """
    cells = list(space.edges)
    heights = [0.95 + 0.34 * len(space.edges[cell]) for cell in cells]
    width = 1.3 + 0.95 * max(len(space.operations[cell]) for cell in cells)
    figure = Figure(figsize=(width, sum(heights)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(cells), 1, height_ratios=heights)
    for position, cell in enumerate(cells):
        ax = figure.add_subplot(grid[position])
        before, after = space.candidates(cell).numpy(), outcome.space.allowed[cell].numpy()
        if outcome.scores is None:
            table = np.where(before, after.astype(float), np.nan)
        else:
            table = np.where(before, outcome.scores[cell].numpy(), np.nan)
        known = np.abs(table[np.isfinite(table)])
        limit = max(1e-9, float(known.max(initial=0.0)))
        signed = bool((table < 0).any())
        image = ax.imshow(
            table, aspect="auto", vmin=-limit if signed else 0.0, vmax=limit,
            cmap=colormaps["RdBu" if signed else "Blues"],
        )  # fmt: skip
        label_table(ax, space.edges[cell], space.operations[cell])
        for edge, operation in zip(*np.isfinite(table).nonzero(), strict=True):
            value = table[edge, operation]
            colour = image.cmap(image.norm(value))
            if before[edge, operation] and not after[edge, operation]:
                for slope in (-1, 1):
                    ax.plot(
                        [operation - 0.44, operation + 0.44], [edge - 0.4 * slope, edge + 0.4 * slope],
                        color=INK, linewidth=1.1, solid_capstyle="round",
                    )  # fmt: skip
            if outcome.scores is not None:
                ax.text(
                    operation, edge, f"{value:.2f}", ha="center", va="center", fontsize=9,
                    color="white" if abs(value) > 0.6 * limit else INK,
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": colour, "edgecolor": "none"},  # over the cross
                )  # fmt: skip
        if len(cells) > 1:
            ax.set_ylabel(cell, fontsize=11, fontweight="bold", color=INK)
        bar = figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, length=0, labelcolor=INK)
    return figure
