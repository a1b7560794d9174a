"""Ridge regression: a weighted sum of the features, whose weights are kept small."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.predictors.base import Floats
from supernet.estimators.predictors.table import TablePredictor

PENALTIES = tuple(10.0**power for power in range(-2, 5))


class Ridge(TablePredictor):
    """On standardised features; a feature's importance is the size of its weight.

    Args:
        task: see `TablePredictor`, as the next one.
        features: see there.
        penalty: of the squared weights; None for that of `PENALTIES` with the least leave-one-out error.
    """

    def __init__(self, task: Task, features: Features | None, penalty: float | None = None) -> None:
        super().__init__(task, features)
        if penalty is not None and not penalty > 0:
            raise ValueError(f"penalty is {penalty}: it must be positive, or null to be chosen")
        self.penalties = PENALTIES if penalty is None else (penalty,)
        self.model: Pipeline = make_pipeline(StandardScaler(), RidgeCV(list(self.penalties)))

    def learn_table(self, table: Table, accuracies: Floats) -> None:
        """See `TablePredictor.learn_table`."""
        self.model.fit(table, accuracies)

    def predict_table(self, table: Table) -> Floats:
        """See `TablePredictor.predict_table`."""
        return np.asarray(self.model.predict(table), dtype=np.float64)

    def weights(self) -> Floats:
        """See `TablePredictor.weights`."""
        return np.abs(self.model[-1].coef_)
