"""What becomes of the best-scored (and the worst-scored) share of architectures: the criteria that a selection needs.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", 2021, arXiv:2008.03064. Among M
architectures ``r_i`` is the rank by the truth and ``n_i`` that by the estimate, 1 the best; both are given once each
(`drawn_ranks`), as vectors ``(architectures,)``. A share K means ``K M`` architectures, rounded, at least one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from supernet.evaluation.correlation import kendall
from supernet.evaluation.ranks import Floats, Ranks, drawn_ranks, pair

PRECISION = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
"""The shares K of P@top, P@bottom, KD@top and KD@bottom."""
SHARES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2)
"""The shares K of BR@K, WR@K and the mean accuracy of the top."""


def number(share: float, architectures: int) -> int:
    """How many architectures a share stands for."""
    return max(1, round(share * architectures))


def precision_at_top(true: Ranks, predicted: Ranks, share: float) -> float:
    """P@top K: ``#{i: r_i <= KM and n_i <= KM} / KM``."""
    most = number(share, len(true))
    return float(((true <= most) & (predicted <= most)).sum() / most)


def precision_at_bottom(true: Ranks, predicted: Ranks, share: float) -> float:
    """P@bottom K: ``#{i: r_i > (1 - K) M and n_i > (1 - K) M} / KM``."""
    turned = len(true) + 1
    return precision_at_top(turned - true, turned - predicted, share)


def best_rank(true: Ranks, predicted: Ranks, share: float) -> float:
    """BR@K: ``min{r_i: n_i <= KM} / M``, the best true rank among the predicted top; ``1 / M`` is perfect."""
    return float(true[predicted <= number(share, len(true))].min() / len(true))


def worst_rank(true: Ranks, predicted: Ranks, share: float) -> float:
    """WR@K: ``max{r_i: n_i <= KM} / M``, the worst true rank among the predicted top; K is perfect."""
    return float(true[predicted <= number(share, len(true))].max() / len(true))


def kendall_at_top(scores: Floats, accuracies: Floats, predicted: Ranks, share: float) -> float:
    """KD@top K: Kendall's tau-b within the predicted top; not a number for fewer than two architectures."""
    top = predicted <= number(share, len(predicted))
    return kendall(scores[top], accuracies[top]) if top.sum() > 1 else float("nan")


def kendall_at_bottom(scores: Floats, accuracies: Floats, predicted: Ranks, share: float) -> float:
    """KD@bottom K: Kendall's tau-b within the predicted bottom."""
    return kendall_at_top(scores, accuracies, len(predicted) + 1 - predicted, share)


def mean_of_top(accuracies: Floats, predicted: Ranks, share: float) -> float:
    """The mean accuracy of the predicted top."""
    return float(accuracies[predicted <= number(share, len(predicted))].mean())


def agreement(
    one: ArrayLike, other: ArrayLike, shares: Sequence[float] = PRECISION, seed: int = 0
) -> dict[str, float | dict[str, float]]:
    """How well two estimates of the same architectures agree: relative KD and relative P@top K.

    The estimates are, for instance, those of a supernet at two checkpoints, or a score under two seeds.

    Args:
        one: an estimate for each architecture, higher is better.
        other: another, in the same order.
        shares: the K of P@top.
        seed: determines how ties are broken for P@top.
    """
    one, other = pair(one, other)
    first, second = tie_free(one, other, seed)
    return {
        "relative_kendall_tau": kendall(one, other),
        "relative_precision_at_top": {percent(share): precision_at_top(first, second, share) for share in shares},
    }


def percent(share: float) -> str:
    """A share for a heading: ``0.5%``."""
    return f"{100 * share:g}%"


def tie_free(one: Floats, other: Floats, seed: int = 0) -> tuple[Ranks, Ranks]:
    """Ranks with ties broken independently: the same order of ties in both would look like agreement."""
    generators = [np.random.default_rng((seed, which)) for which in range(2)]
    return drawn_ranks(one, generators[0]), drawn_ranks(other, generators[1])
