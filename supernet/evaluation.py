"""How well scores rank architectures whose true accuracy is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def criteria(scores: ArrayLike, accuracies: ArrayLike) -> dict[str, float]:
    """Kendall's tau-b, Spearman's rho and the accuracy of the best-scored architecture.

    Args:
        scores: one number per architecture, higher is better.
        accuracies: their true accuracies in percent, in the same order.
    """
    scores, accuracies = np.asarray(scores, dtype=float), np.asarray(accuracies, dtype=float)
    if scores.shape != accuracies.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and accuracies {accuracies.shape} must be vectors of one length")
    if len(scores) < 2:
        raise ValueError("a ranking needs at least two architectures")
    best = scores == scores.max()
    return {
        "kendall_tau": float(stats.kendalltau(scores, accuracies).statistic),
        "spearman_rho": float(stats.spearmanr(scores, accuracies).statistic),
        "accuracy_of_best_scored": float(accuracies[best].mean()),
        "best_accuracy": float(accuracies.max()),
    }
