"""Measurements as features: what training-free scores and costs say of an architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.estimators.features.base import Features, FeaturesFactory, Table
from supernet.estimators.proxies.one_pass import together


class Measurements(Features):
    """What several estimators measure of an architecture, compressed by `signed_log`.

    Names are those of the estimators, and ``name.part`` for one that measures several numbers.

    Args:
        task: what is measured.
        estimators: by name; each must be `Measured`.
    """

    costly = True

    def __init__(self, task: Task, estimators: Mapping[str, EstimatorFactory]) -> None:
        if not estimators:
            raise ValueError("there are no estimators to measure by")
        self.parts: dict[str, Measured] = {}
        for name, factory in estimators.items():
            part = factory(task)
            if not isinstance(part, Measured):
                raise ValueError(f"{name} cannot be a feature: it scores architectures only together")
            self.parts[name] = part
        self.names = tuple(
            name if len(part.names) == 1 else f"{name}.{inner}"
            for name, part in self.parts.items()
            for inner in part.names
        )

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`; minus infinity where an estimator finds nothing to measure."""
        rows = [together(list(self.parts.values()), one) for one in architectures]
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
