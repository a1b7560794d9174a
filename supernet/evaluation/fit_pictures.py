"""Pictures of a fitted predictor: which features matter, and what it says against what is true."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from supernet.drawing import INK, PALE
from supernet.evaluation.figures import OVER, UNDER, clean, empty
from supernet.evaluation.fitting import Predictions

BARS = 20
CROWD = 300  # with more dots, bars of deviations hide them


def draw_importances(importances: Mapping[str, float], title: str) -> Figure:
    """A bar for each of the most important features, the most important above, and what the others have together."""
    ranked = sorted(importances.items(), key=lambda item: -item[1])[:BARS]
    rest = 1 - sum(value for _, value in ranked)
    figure = empty(9, 1.3 + 0.3 * len(ranked), title)
    ax = figure.subplots()
    bars = ax.barh(range(len(ranked))[::-1], [value for _, value in ranked], color=UNDER, height=0.7)
    ax.bar_label(bars, [f"{value:.3f}" for _, value in ranked], padding=3, fontsize=9, color=INK)
    ax.set_yticks(range(len(ranked))[::-1], [name for name, _ in ranked])
    left = len(importances) - len(ranked)
    ax.set_xlabel("importance, all features together 1" + (f"; the other {left:,}: {rest:.3f}" if left else ""))
    ax.margins(x=0.12)
    clean(ax)
    ax.tick_params(axis="y", length=0)
    return figure


def draw_predictions(parts: Mapping[str, Predictions], title: str) -> Figure:
    """Predicted against true accuracy, a panel for each set of predictions, with deviations where there are few."""
    figure = empty(5.2 * len(parts), 4.8, title)
    for ax, (name, found) in zip(np.atleast_1d(figure.subplots(1, len(parts))), parts.items(), strict=True):
        if found.deviations is not None and len(found.scores) <= CROWD:
            ax.errorbar(
                found.scores, found.accuracies, xerr=found.deviations, fmt="none", ecolor=PALE, linewidth=0.8, zorder=1
            )
        size = float(np.clip(8000 / len(found.scores), 3, 30))
        ax.scatter(found.scores, found.accuracies, s=size, color=UNDER, linewidths=0, alpha=0.7, zorder=2)
        low, high = found.accuracies.min(), found.accuracies.max()
        if low <= np.median(found.scores) <= high:  # a score by ranks has another unit
            ax.plot([low, high], [low, high], color=OVER, linewidth=1.0, label="equal")
            ax.legend(loc="lower right", fontsize=9, frameon=False, labelcolor=INK)
        ax.set_title(f"{name}: {len(found.scores):,} architectures", fontsize=10, color=INK)
        ax.set_xlabel("predicted")
        ax.set_ylabel("true accuracy [%]")
        clean(ax)
    return figure
