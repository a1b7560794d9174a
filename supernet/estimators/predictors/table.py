"""Predictors that learn from a table of features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.predictors.base import Floats, Predictor


class TablePredictor(Predictor):
    """Looks at architectures through features; a subclass says how a model learns from the table of them.

    A feature that could not be measured counts as the lowest that the fit has seen of it.

    Args:
        task: gives the seed.
        features: what is looked at.

    Raises ValueError without features.
    """

    def __init__(self, task: Task, features: Features | None) -> None:
        if features is None:
            raise ValueError(f"{type(self).__name__} learns from features, and there are none; use features=graf")
        self.seed = task.seed % 2**32  # numpy takes no larger one
        self.features = features
        self._lowest: Floats = np.zeros(len(features.names))

    @abstractmethod
    def learn_table(self, table: Table, accuracies: Floats) -> None:
        """Fit on features ``(architectures, features)`` and accuracies ``(architectures,)``, all finite."""

    @abstractmethod
    def predict_table(self, table: Table) -> Floats:
        """The predicted accuracies ``(architectures,)``, after a fit."""

    def spread_table(self, table: Table) -> Floats | None:
        """One standard deviation of each prediction, None for a model that has none; after a fit."""
        return None

    def weights(self) -> Floats | None:
        """How much each feature matters ``(features,)``, at least 0, None for a model that cannot say; after a fit."""
        return None

    def learn(self, architectures: Sequence[Architecture], accuracies: Floats) -> None:
        """See `Predictor.learn`."""
        table = self.features.table(architectures)
        finite = np.isfinite(table)
        lowest = np.where(finite, table, np.inf).min(axis=0)
        self._lowest = np.where(np.isfinite(lowest), lowest, 0.0)
        self.learn_table(self._complete(table), accuracies)

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """See `Predictor.predict`."""
        return self.predict_table(self._complete(self.features.table(architectures)))

    def spread(self, architectures: Sequence[Architecture]) -> Floats | None:
        """See `Predictor.spread`."""
        return self.spread_table(self._complete(self.features.table(architectures)))

    def weigh(self) -> dict[str, float] | None:
        """See `Predictor.weigh`; a model that uses no feature at all gives each nothing."""
        weights = self.weights()
        if weights is None:
            return None
        return dict(zip(self.features.names, (weights / (weights.sum() or 1.0)).tolist(), strict=True))

    def _complete(self, table: Table) -> Table:
        return np.where(np.isfinite(table), table, self._lowest)


def at_least(least: float, **values: float) -> None:
    """Raise ValueError unless each value is a number and at least so large, and whole where the least is."""
    for name, value in values.items():
        whole = isinstance(least, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not value >= least:
            raise ValueError(
                f"{name} is {value}: it must be a {'whole number' if whole else 'number'}, at least {least}"
            )
