"""Pictures with bars: whom a score favours, and which of several estimators is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from supernet.drawing import INK, PALETTE
from supernet.evaluation.figures import OVER, UNDER, clean, empty


def draw_bias(differences: Mapping[str, Any], title: str) -> Figure:
    """The mean ranking difference by cost group and by number of operations, from `report.biases`."""
    figure = empty(11, 4.2, f"{title}: over-estimated above the line, under-estimated below")
    left, right = figure.subplots(1, 2, sharey=True)
    groups = differences["by_multiply_adds"]
    means = [100 * group["mean"] for group in groups]
    bars = left.bar(range(len(groups)), means, color=[OVER if mean > 0 else UNDER for mean in means], width=0.7)
    left.bar_label(bars, [f"{mean:+.1f}" for mean in means], padding=2, fontsize=9, color=INK)
    left.margins(y=0.15)
    left.set_xticks(range(len(groups)), [f"{g['least'] / 1e6:.3g} to\n{g['most'] / 1e6:.3g}" for g in groups])
    left.set_xlabel("multiply-adds [millions], groups of equal size")
    left.set_ylabel("mean ranking difference [% of all]")
    names = [name for name in differences["by_operation"] if name != "none"]
    for name, found in differences["by_operation"].items():
        colour = INK if name == "none" else PALETTE[names.index(name) % len(PALETTE)]
        counts, heights = [one["count"] for one in found], [100 * one["mean"] for one in found]
        right.plot(counts, heights, color=colour, linewidth=1.6, linestyle="--" if name == "none" else "-", label=name)
        sizes = [float(np.clip(9 * np.log10(1 + one["architectures"]), 4, 40)) for one in found]
        right.scatter(counts, heights, s=sizes, color=colour, zorder=3)
    right.set_xlabel("edges with the operation (larger dots: more architectures)")
    right.xaxis.get_major_locator().set_params(integer=True)
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False, labelcolor=INK)
    for ax in (left, right):
        ax.axhline(0, color=INK, linewidth=0.9)
        clean(ax)
    return figure


def draw_comparison(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, float, str]]) -> Figure:
    """Bars of several criteria, a row for each evaluation, the best above.

    Args:
        rows: each with a ``name`` and the criteria.
        columns: for each criterion its title, a factor, and the form of the number.
    """
    figure = empty(2.0 + 3.0 * len(columns), 1.1 + 0.36 * len(rows))
    places = range(len(rows))[::-1]
    for ax, (key, (title, factor, form)) in zip(
        np.atleast_1d(figure.subplots(1, len(columns), sharey=True)), columns.items(), strict=True
    ):
        values = [factor * (row[key] or 0.0) for row in rows]
        labels = ["-" if row[key] is None else form.format(factor * row[key]) for row in rows]
        bars = ax.barh(places, values, color=[OVER if value < 0 else UNDER for value in values], height=0.7)
        ax.bar_label(bars, labels, padding=3, fontsize=9)
        ax.axvline(0, color=INK, linewidth=0.9)
        ax.margins(x=0.18)
        ax.set_title(title, fontsize=10, color=INK)
        ax.set_yticks(places, [row["name"] for row in rows])
        clean(ax)
        ax.tick_params(axis="y", length=0)
    return figure
