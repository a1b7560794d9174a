"""A picture of how far scores agree with accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from supernet.drawing import INK, PALETTE
from supernet.evaluation.figures import OVER, UNDER, clean, empty
from supernet.evaluation.ranks import Floats, drawn_ranks, mean_ranks, vector

Scale = Literal["linear", "log", "rank"]
HEAVY = 40.0  # a range of so many interquartile ranges is too wide for a linear axis
CROWD = 2000  # so many dots would hide each other
ERRORS = (0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90)
LEAST = 0.05  # smaller errors are drawn as this one
RHO = "\N{GREEK SMALL LETTER RHO}"


def draw_agreement(
    scores: ArrayLike, accuracies: ArrayLike, costs: ArrayLike, title: str, criteria: Mapping[str, Any]
) -> Figure:
    """Each architecture by score and accuracy, and how its rank by one depends on that by the other.

    Accuracies are drawn by the logarithm of the error, which gives the good ones room. Scores without a finite value
    stand at the left edge, those of plus infinity at the right one.

    Args:
        scores: ``(architectures,)``, higher is better.
        accuracies: in percent.
        costs: multiply-adds, for the colours.
        title: what is scored on what.
        criteria: by name; Kendall's tau and Spearman's rho are printed.
    """
    one, other, size = vector(scores), vector(accuracies), np.asarray(costs, dtype=np.float64)
    tau, rho = (criteria[name] for name in ("kendall_tau", "spearman_rho"))
    heading = f"{title}: Kendall's τ = {_number(tau)}, Spearman's {RHO} = {_number(rho)}, {len(one):,} architectures"
    figure = empty(11, 4.8, heading)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _scatter(left, one, other, size)
    _ranks(right, one, other)
    return figure


def _scatter(ax: Axes, scores: Floats, accuracies: Floats, costs: Floats) -> None:
    finite = np.isfinite(scores)
    scale = axis_scale(scores)
    places = len(scores) + 1 - mean_ranks(scores) if scale == "rank" else scores
    shown = places[finite]
    order = np.random.default_rng(0).permutation(len(shown))  # no group is drawn over the others
    millions = costs / 1e6
    norm = LogNorm(millions.min(), max(millions.max(), 1.001 * millions.min())) if millions.min() > 0 else None
    drawn = ax.scatter(
        shown[order],
        _height(accuracies)[finite][order],
        c=millions[finite][order],
        norm=norm,
        cmap="viridis",
        s=float(np.clip(8000 / len(scores), 3, 30)),
        linewidths=0,
        alpha=0.75,
    )
    if scale == "log":
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    low, high = _limits(shown, scale)
    if not finite.all():
        largest = scores == np.inf
        edges = (("<", low, ~finite & ~largest, "no finite score"), (">", high, largest, "an infinite score"))
        for marker, edge, these, name in edges:
            if these.any():
                ax.scatter(np.full(these.sum(), edge), _height(accuracies)[these], marker=marker, s=22, color=OVER,
                           linewidths=0, alpha=0.5, clip_on=False, label=f"{name}: {these.sum():,}")  # fmt: skip
        ax.legend(loc="upper left", fontsize=9, frameon=False, labelcolor=INK)
    ax.set_xlim(low, high)
    ticks = _ticks(*ax.get_ylim())
    ax.set_yticks([float(_height(tick)) for tick in ticks], [f"{tick:g}" for tick in ticks])
    ax.set_xlabel({"linear": "score", "log": "score", "rank": "place by score, the best on the right"}[scale])
    ax.set_ylabel("accuracy [%]")
    clean(ax)
    colours = (np.geomspace if norm else np.linspace)(*drawn.get_clim(), 5).tolist()
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, fraction=0.05)
    bar.set_ticks(colours, labels=[f"{colour:.3g}" for colour in colours], minor=False)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, labelcolor=INK)
    bar.set_label("multiply-adds [millions]", fontsize=9, color=INK)


def _ranks(ax: Axes, scores: Floats, accuracies: Floats) -> None:
    """The density of ranks, with the median and the middle 80 % of the true ranks along the predicted ones."""
    count = len(scores)
    predicted, true = (100 * (1 - (mean_ranks(values) - 0.5) / count) for values in (scores, accuracies))
    if count < CROWD:
        ax.scatter(predicted, true, s=float(np.clip(8000 / count, 3, 30)), color=UNDER, alpha=0.4, linewidths=0)
    else:
        ax.hexbin(predicted, true, gridsize=40, extent=(0, 100, 0, 100), cmap="Blues", bins="log", linewidths=0.1)
    bins = int(np.clip(count / 25, 4, 20))
    mixed = np.argsort(drawn_ranks(-predicted, np.random.default_rng(0)))  # ties in no particular order
    parts = np.array_split(mixed, min(bins, count))
    centres = [predicted[part].mean() for part in parts]
    low, middle, high = np.array([np.percentile(true[part], (10, 50, 90)) for part in parts]).T
    ax.fill_between(
        centres, low, high, facecolor=(*to_rgb(PALETTE[4]), 0.12), edgecolor=PALETTE[4], label="middle 80 %"
    )
    ax.plot(centres, middle, color=OVER, linewidth=2, label="median")
    ax.plot((0, 100), (0, 100), color=INK, linewidth=0.8, linestyle=":")
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 100)
    ax.set_aspect("equal")
    ax.set_xlabel("rank by score [%], the best at 100")
    ax.set_ylabel("rank by accuracy [%]")
    ax.legend(loc="upper left", fontsize=9, frameon=False, labelcolor=INK)
    clean(ax)


def axis_scale(scores: Floats) -> Scale:
    """How scores are best drawn: as they are, by their logarithm, or where that has none by their rank."""
    finite = scores[np.isfinite(scores)]
    if len(finite) < 2:
        return "linear"
    low, quarter, three, high = np.percentile(finite, (0.5, 25, 75, 99.5))
    if high - low <= HEAVY * (three - quarter) and not (low > 0 and high > 100 * low):
        return "linear"
    return "log" if finite.min() > 0 else "rank"


def _height(accuracies: ArrayLike) -> Floats:
    return -np.log10(np.clip(100.0 - np.asarray(accuracies, dtype=np.float64), LEAST, None))


def _ticks(low: float, high: float) -> list[float]:
    """The accuracies to name on an axis between these heights, none too near to the one below.

    They have round errors, or where few of those are between the ends they are round themselves.
    """
    found: Sequence[float] = [100 - error for error in reversed(ERRORS) if low <= _height(100 - error) <= high]
    if len(found) < 3:
        ends = (100 - 10**-low, min(100 - 10**-high, 100 - LEAST))
        found = np.round(MaxNLocator(6, min_n_ticks=3).tick_values(*ends), 6).tolist()
        found = [tick for tick in found if ends[0] <= tick <= ends[1]]
    kept: list[float] = []
    for tick in found:
        if not kept or _height(tick) - _height(kept[-1]) > 0.045 * (high - low):
            kept.append(tick)
    return kept


def _limits(shown: Floats, scale: Scale) -> tuple[float, float]:
    """The ends of the axis: outliers among scores are left outside."""
    if not len(shown):
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(shown, (0.1, 99.9)))
    if scale == "log":
        margin = (high / low) ** 0.04 if high > low else 1.1
        return low / margin, high * margin
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
