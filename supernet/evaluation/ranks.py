"""Ranks of architectures by a score or an accuracy: 1 is the highest value, and what is not a number comes last."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ranks = NDArray[np.int64]


def vector(values: ArrayLike) -> Floats:
    """Values ``(architectures,)`` in float64; what is not a number becomes minus infinity.

    Raises ValueError for anything but a vector.
    """
    found = np.array(values, dtype=np.float64)
    if found.ndim != 1:
        raise ValueError(f"values {found.shape} must be a vector, one for each architecture")
    found[np.isnan(found)] = -np.inf
    return found


def pair(scores: ArrayLike, accuracies: ArrayLike) -> tuple[Floats, Floats]:
    """Two rankings of the same architectures as vectors. Raises ValueError where they cannot be compared."""
    one, other = vector(scores), vector(accuracies)
    if one.shape != other.shape:
        raise ValueError(f"scores {one.shape} and accuracies {other.shape} must be vectors of one length")
    if len(one) < 2:
        raise ValueError("a ranking needs at least two architectures")
    return one, other


def mean_ranks(values: ArrayLike) -> Floats:
    """The rank of each value; equal values share the mean of their ranks."""
    return stats.rankdata(-vector(values))


def drawn_ranks(values: ArrayLike, generator: np.random.Generator) -> Ranks:
    """The rank of each value, each rank given once; equal values are in random order, so that none is favoured."""
    found = vector(values)
    mixed = generator.permutation(len(found))
    ranks = np.empty(len(found), dtype=np.int64)
    ranks[mixed[np.argsort(-found[mixed], kind="stable")]] = np.arange(1, len(found) + 1)
    return ranks
