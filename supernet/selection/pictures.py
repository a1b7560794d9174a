"""Pictures of a search among architectures: the best so far, and the front of two objectives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from supernet.drawing import INK, PALE, PALETTE
from supernet.evaluation.figures import clean, empty
from supernet.searchers.history import comparable
from supernet.searchers.pareto import Point

SCORED: dict[str, Any] = {"s": 9, "color": PALE, "label": "scored", "zorder": 2}
COUNTS = 1e4  # costs above it are labelled in thousands or millions


def best_so_far(scores: Sequence[float]) -> list[float]:
    """After each architecture the largest score until then; what is not a number counts as minus infinity."""
    return list(itertools.accumulate(map(comparable, scores), max))


def draw_history(scores: Sequence[float]) -> Figure:
    """Every score in the order in which architectures were scored, and the best so far."""
    figure = empty(7.2, 3.8)
    ax = figure.subplots()
    numbers = range(1, len(scores) + 1)
    finite = [(number, score) for number, score in zip(numbers, scores, strict=True) if math.isfinite(score)]
    ax.scatter([number for number, _ in finite], [score for _, score in finite], **SCORED)
    best = [(number, score) for number, score in zip(numbers, best_so_far(scores), strict=True) if math.isfinite(score)]
    if best:
        after, largest = zip(*best, strict=True)
        ax.step(after, largest, where="post", color=PALETTE[0], linewidth=2, label="best so far", zorder=3)
        values = sorted(score for _, score in finite)
        low, high = values[len(values) // 20], values[-1]  # a few that are very bad would hide all the others
        margin = 0.06 * (high - low) or 0.5
        ax.set_ylim(low - margin, high + margin)
    ax.set_xlabel("architectures scored")
    ax.set_ylabel("score")
    ax.legend(loc="lower right", fontsize=9, frameon=False, labelcolor=INK)
    clean(ax)
    return figure


def draw_front(points: Sequence[Point], best: Sequence[int], cost: str) -> Figure:
    """Scores over costs, and the front: what no other architecture beats in both.

    Args:
        points: scores and costs, all finite.
        best: which of them are the front, in the order of their costs.
        cost: its name.
    """
    figure = empty(7.2, 4.6)
    ax = figure.subplots()
    ax.scatter([cost for _, cost in points], [score for score, _ in points], **SCORED)
    if best:
        scores, costs = zip(*(points[index] for index in best), strict=True)
        ax.step(costs, scores, where="post", color=PALETTE[1], linewidth=1.4, zorder=3)
        ax.scatter(costs, scores, s=26, color=PALETTE[1], label="front", zorder=4)
        spread = max(scores) - min(scores)
        ax.set_ylim(min(scores) - (0.15 * spread or 0.5), max(scores) + (0.05 * spread or 0.5))
    ax.set_xlabel(cost.replace("_", "-"))
    if max((cost for _, cost in points), default=0.0) > COUNTS:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20M
    ax.set_ylabel("score")
    ax.legend(loc="lower right", fontsize=9, frameon=False, labelcolor=INK)
    clean(ax)
    return figure
