"""Measurements as features: what training-free scores and costs say of an architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.estimators.features.base import Features, FeaturesFactory, Table
from supernet.estimators.several import Several


class Measurements(Features):
    """What several estimators measure of an architecture, compressed by `signed_log`.

    Args:
        task: see `Several`, as the next one.
        estimators: see there.
    """

    costly = True

    def __init__(self, task: Task, estimators: Mapping[str, EstimatorFactory]) -> None:
        self.several = Several(task, estimators)
        self.names = self.several.names

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`; minus infinity where an estimator finds nothing to measure."""
        rows = [self.several.measurements(one) for one in architectures]
        return signed_log(np.reshape(rows, (len(rows), len(self.names))))


def signed_log(values: ArrayLike) -> Table:
    """``sign(x) log(1 + |x|)``, which keeps the order; some scores span fifty orders of magnitude."""
    x = np.asarray(values, dtype=np.float64)
    return np.sign(x) * np.log1p(np.abs(x))


class Rows(Measured):
    """Features as an estimator's measurements, so that whatever measures many architectures can measure these.

    Args:
        task: what the architectures belong to.
        features: what is measured.
    """

    def __init__(self, task: Task, features: FeaturesFactory) -> None:
        self.features = features(task)
        self.names = self.features.names

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        return tuple(self.features.table([architecture])[0].tolist())
