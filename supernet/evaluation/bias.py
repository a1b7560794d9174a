"""Whom an estimate favours: the ranking difference of large and small architectures, and of each operation.

``RD_i = r_i - n_i``, the rank by the truth less the rank by the estimate, 1 the best: positive for an architecture
that is over-estimated (Ning et al., 2021, arXiv:2008.03064). Equal values share the mean of their ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supernet.evaluation.ranks import Floats, drawn_ranks, mean_ranks, pair

GROUPS = 5


@dataclass(frozen=True)
class Group:
    """Architectures that have something in common.

    Attributes:
        least: of what they have in common: a cost, or how often they have an operation.
        most: likewise.
        architectures: how many there are.
        mean: of their ranking differences, divided by the number of all architectures.
    """

    least: float
    most: float
    architectures: int
    mean: float


def ranking_differences(scores: ArrayLike, accuracies: ArrayLike) -> Floats:
    """``r_i - n_i`` for each architecture ``(architectures,)``."""
    one, other = pair(scores, accuracies)
    return mean_ranks(other) - mean_ranks(one)


def by_cost(differences: Floats, costs: ArrayLike, groups: int = GROUPS, seed: int = 0) -> list[Group]:
    """Groups of equal size, the cheapest architectures first; the seed says who of equal cost is in which group."""
    values = np.asarray(costs, dtype=np.float64)
    cheapest_first = np.argsort(drawn_ranks(-values, np.random.default_rng(seed)))
    parts = np.array_split(cheapest_first, min(groups, len(values)))
    return [_group(differences, values, part) for part in parts]


def by_count(differences: Floats, counts: Mapping[str, ArrayLike]) -> dict[str, list[Group]]:
    """For each operation the groups of architectures that have it equally often, the rarest first.

    Args:
        differences: ``(architectures,)``.
        counts: for each operation how often the architectures have it ``(architectures,)``.
    """
    found = {}
    for operation, values in counts.items():
        counted = np.asarray(values, dtype=np.float64)
        found[operation] = [_group(differences, counted, np.flatnonzero(counted == count)) for count in set(counted)]
    return {operation: sorted(groups, key=lambda group: group.least) for operation, groups in found.items()}


def _group(differences: Floats, values: Floats, members: NDArray[np.intp]) -> Group:
    mine = values[members]
    mean = float(differences[members].mean() / len(differences))
    return Group(float(mine.min()), float(mine.max()), len(members), mean)
