"""A picture of many runs: a point for each, and mean and deviation of those that only chance tells apart."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from supernet.drawing import INK, PALE
from supernet.evaluation.figures import UNDER, clean, empty
from supernet.evaluation.run_groups import Group
from supernet.evaluation.run_summary import columns, factor, title

MOST = 40
"""Rows; with more, the best of them."""
LONGEST = 45
"""Letters of a line of a name beside the rows."""


def draw_runs(groups: Sequence[Group]) -> Figure:
    """A row for each group with a result, the best above; a panel for the objective and for each recorded accuracy."""
    found = [group for group in groups if group.finished]
    rows, metrics = found[:MOST], columns(groups)[:4]
    names = ["\n".join(textwrap.wrap(group.name, LONGEST, max_lines=3, placeholder=" …")) for group in rows]
    lines = max(name.count("\n") + 1 for name in names)
    width = 0.6 + 0.08 * max(len(line) for name in names for line in name.split("\n"))
    figure = empty(
        width + 3.6 * len(metrics), 1.4 + (0.2 + 0.16 * lines) * len(rows),
        "" if len(found) <= MOST else f"the best {MOST} of {len(found)}",
    )  # fmt: skip
    places = np.arange(len(rows))[::-1]
    for ax, metric in zip(np.atleast_1d(figure.subplots(1, len(metrics), sharey=True)), metrics, strict=True):
        scale = factor(metric)
        for place, group in zip(places, rows, strict=True):
            ax.axhline(place, color=PALE, linewidth=0.5, zorder=0)
            values = [scale * value for value in group.values(metric)]
            ax.scatter(values, [place] * len(values), s=34, color=UNDER, alpha=0.8, linewidths=0, zorder=4)
            deviation = scale * group.deviation(metric)
            if not math.isnan(deviation):
                ax.errorbar(
                    scale * group.mean(metric), place, xerr=deviation, fmt="|", color=INK, markersize=15,
                    markeredgewidth=2, linewidth=1.2, capsize=3, zorder=3,
                )  # fmt: skip
        ax.set_title(title(metric), fontsize=10, color=INK)
        ax.set_yticks(places, names)
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.margins(x=0.08)
        clean(ax)
        ax.tick_params(axis="y", length=0)
    over_seeds = "; mean and standard deviation over seeds" if any(len(group.finished) > 1 for group in rows) else ""
    figure.supxlabel(f"a point for each run{over_seeds}", fontsize=9, color=INK)
    return figure
