"""How far scores agree with accuracies over all architectures: Pearson, Spearman, Kendall, and nDCG.

The choice of criteria is that of Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures",
2021, arXiv:2008.03064. Every function takes two vectors ``(architectures,)`` and gives a number, not a number where
one of them is constant. Minus infinity is an ordinary value, the lowest, for all that look at ranks alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from supernet.evaluation.ranks import mean_ranks, pair

SPARSE = 0.1
"""Percentage points below which accuracies of retrained networks differ by chance (Ning et al., 2021)."""
DEPTH = 1000
"""How many of the best-scored architectures count for nDCG."""


def pearson(scores: ArrayLike, accuracies: ArrayLike) -> tuple[float, int]:
    """The linear correlation of the architectures with a finite score, and how many have none and are left out."""
    one, other = pair(scores, accuracies)
    finite = np.isfinite(one) & np.isfinite(other)
    return _linear(one[finite], other[finite]), int((~finite).sum())


def spearman(scores: ArrayLike, accuracies: ArrayLike) -> float:
    """Spearman's rho: the linear correlation of the ranks, of which equal values share the mean."""
    return _linear(*map(mean_ranks, pair(scores, accuracies)))


def kendall(scores: ArrayLike, accuracies: ArrayLike) -> float:
    """Kendall's tau-b: ``(pairs that agree - pairs that do not) / sqrt(pairs untied in one * untied in the other)``."""
    return float(stats.kendalltau(*map(mean_ranks, pair(scores, accuracies))).statistic)


def sparse_kendall(scores: ArrayLike, accuracies: ArrayLike, threshold: float = SPARSE) -> float:
    """Kendall's tau-b with accuracies rounded to multiples of ``threshold``: what lies below the noise is a tie."""
    one, other = pair(scores, accuracies)
    return kendall(one, np.rint(other / threshold))


def ndcg(accuracies: ArrayLike, ranks: ArrayLike, depth: int = DEPTH) -> float:
    """Normalised discounted cumulative gain of the ``depth`` best-scored architectures: 1 for the true order.

    ``sum_j (2^accuracy_j - 1) / log2(1 + j)`` over the ranks j by the score, divided by that of the true order, the
    criterion of VKDNW (Tybl and Neumann, 2025). As accuracies are in percent, a gain doubles with every point, so that
    the very best architectures decide.

    Args:
        accuracies: in percent.
        ranks: by the score, each given once, from `drawn_ranks`.
        depth: how many positions count.
    """
    gains = np.exp2(np.asarray(accuracies, dtype=np.float64)) - 1
    best = np.argsort(np.asarray(ranks))[:depth]
    discounts = 1 / np.log2(1 + np.arange(1, len(best) + 1))
    return float(gains[best] @ discounts / (np.sort(gains)[::-1][: len(best)] @ discounts))


def _linear(one: np.ndarray, other: np.ndarray) -> float:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(stats.pearsonr(one, other).statistic)
