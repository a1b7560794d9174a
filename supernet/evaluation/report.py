"""All criteria by which an estimate is judged, as plain values for ``report.json``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from numpy.typing import ArrayLike

from supernet.evaluation.bias import by_cost, by_count, ranking_differences
from supernet.evaluation.correlation import kendall, ndcg, pearson, sparse_kendall, spearman
from supernet.evaluation.ranks import pair
from supernet.evaluation.top import (
    PRECISION,
    SHARES,
    best_rank,
    kendall_at_bottom,
    kendall_at_top,
    mean_of_top,
    percent,
    precision_at_bottom,
    precision_at_top,
    tie_free,
    worst_rank,
)

Report = dict[str, Any]


def criteria(scores: ArrayLike, accuracies: ArrayLike, seed: int = 0) -> Report:
    """Every criterion that scores and accuracies are enough for, by name; None for one that is not defined.

    Args:
        scores: one number per architecture, higher is better.
        accuracies: their true accuracies in percent, in the same order.
        seed: determines the order of equal values where a criterion needs one.

    Raises ValueError where the two cannot be compared.
    """
    one, other = pair(scores, accuracies)
    true, predicted = tie_free(other, one, seed)
    linear, left_out = pearson(one, other)
    best, of_best = float(other.max()), float(other[one == one.max()].mean())

    def at(shares: Sequence[float], criterion: Callable[[float], float]) -> dict[str, float]:
        return {percent(share): criterion(share) for share in shares}

    return defined({
        "kendall_tau": kendall(one, other),
        "spearman_rho": spearman(one, other),
        "pearson": linear,
        "pearson_left_out": left_out,
        "sparse_kendall_tau": sparse_kendall(one, other),
        "ndcg": ndcg(other, predicted),
        "accuracy_of_best_scored": of_best,
        "best_accuracy": best,
        "regret": best - of_best,
        "accuracy_of_top": at(SHARES, lambda share: mean_of_top(other, predicted, share)),
        "regret_of_top": at(SHARES, lambda share: best - mean_of_top(other, predicted, share)),
        "precision_at_top": at(PRECISION, lambda share: precision_at_top(true, predicted, share)),
        "precision_at_bottom": at(PRECISION, lambda share: precision_at_bottom(true, predicted, share)),
        "best_rank": at(SHARES, lambda share: best_rank(true, predicted, share)),
        "worst_rank": at(SHARES, lambda share: worst_rank(true, predicted, share)),
        "kendall_at_top": at(PRECISION, lambda share: kendall_at_top(one, other, predicted, share)),
        "kendall_at_bottom": at(PRECISION, lambda share: kendall_at_bottom(one, other, predicted, share)),
    })  # fmt: skip


def biases(
    scores: ArrayLike, accuracies: ArrayLike, multiply_adds: ArrayLike, operations: Mapping[str, ArrayLike]
) -> Report:
    """The mean ranking differences, as shares of all architectures, by cost and by number of operations.

    Args:
        scores: one number per architecture, higher is better.
        accuracies: in the same order, like all that follow.
        multiply_adds: of each architecture.
        operations: for each operation on how many edges each architecture has it.
    """
    differences = ranking_differences(scores, accuracies)
    counted = by_count(differences, operations)
    return {
        "by_multiply_adds": [asdict(group) for group in by_cost(differences, multiply_adds)],
        "by_operation": {
            name: [{"count": int(group.least), "architectures": group.architectures, "mean": group.mean}
                   for group in groups]
            for name, groups in counted.items()
        },
    }  # fmt: skip


def defined(value: Any) -> Any:
    """A report without numbers that are none, which JSON does not have: they become None."""
    if isinstance(value, dict):
        return {name: defined(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
