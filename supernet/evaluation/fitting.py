"""How well a predictor says what it was not fitted on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.predictors.base import Floats, Predictor


@dataclass(frozen=True)
class Predictions:
    """What a predictor says of architectures that it was not fitted on.

    Attributes:
        architectures: which they are; what follows is in this order.
        accuracies: the true ones.
        scores: the predicted ones.
        deviations: how sure each score is, None for a model that cannot say.
        seconds: that all predictions took.
    """

    architectures: list[Architecture]
    accuracies: Floats
    scores: Floats
    deviations: Floats | None
    seconds: float


def predictions(
    predictor: Predictor, architectures: Sequence[Architecture], accuracies: Sequence[float] | Floats
) -> Predictions:
    """Those of a fitted predictor."""
    start = time.perf_counter()
    scores = predictor.score(architectures).numpy()
    seconds = time.perf_counter() - start
    deviation = predictor.deviation(architectures)
    found = None if deviation is None else deviation.numpy()
    return Predictions(list(architectures), np.asarray(accuracies, dtype=np.float64), scores, found, seconds)


def cross_validated(
    make: Callable[[], Predictor],
    architectures: Sequence[Architecture],
    accuracies: Sequence[float],
    folds: int,
    seed: int,
) -> Predictions:
    """Each architecture predicted by a fit on the other folds; every fold has a fit of its own.

    Args:
        make: gives a predictor that is not fitted.
        architectures: each once.
        accuracies: of them.
        folds: parts of equal size, up to one; as many as architectures where there are fewer.
        seed: determines who is in which part.

    Raises `UserError` where a fold would leave fewer than two architectures.
    """
    count, folds = len(architectures), min(folds, len(architectures))
    if count - -(-count // folds) < 2:
        raise UserError(f"folds={folds}: {count} architectures cannot be divided so; give at least 4, or folds=0")
    values = np.asarray(accuracies, dtype=np.float64)
    scores, deviations, seconds = np.empty(count), np.empty(count), 0.0
    unsure = True
    for part in np.array_split(np.random.default_rng(seed).permutation(count), folds):
        rest = np.setdiff1d(np.arange(count), part)
        predictor = make().fit([architectures[index] for index in rest], values[rest])
        found = predictions(predictor, [architectures[index] for index in part], values[part])
        scores[part] = found.scores
        seconds += found.seconds
        if found.deviations is None:
            unsure = False
        else:
            deviations[part] = found.deviations
    return Predictions(list(architectures), values, scores, deviations if unsure else None, seconds)
