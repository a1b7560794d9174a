"""Gradient boosting: a sum of small trees, each fitted on what those before it leave.

Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", 2001. Three libraries have it; XGBoost (Chen and
Guestrin, 2016, arXiv:1603.02754) and LightGBM (Ke et al., 2017) come with the extra ``predictors``.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from supernet.errors import UserError
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.predictors.base import Floats
from supernet.estimators.predictors.table import TablePredictor, at_least


class Boosting(TablePredictor):
    """A feature's importance is what its splits gain.

    Args:
        task: see `TablePredictor`, as the next one.
        features: see there.
        trees: how many.
        learning_rate: the share of each tree's prediction that is added.
        depth: of each tree.
        subsample: the share of architectures that each tree is fitted on.
    """

    def __init__(
        self,
        task: Task,
        features: Features | None,
        trees: int = 100,
        learning_rate: float = 0.1,
        depth: int = 3,
        subsample: float = 1.0,
    ) -> None:
        super().__init__(task, features)
        at_least(1, trees=trees, depth=depth)
        for name, value in (("learning_rate", learning_rate), ("subsample", subsample)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} is {value}: it must be above 0 and at most 1")
        self.model = self.regressor(trees, learning_rate, depth, subsample)

    def regressor(self, trees: int, learning_rate: float, depth: int, subsample: float) -> Any:
        """What does the work, with fit and predict."""
        return GradientBoostingRegressor(
            n_estimators=trees,
            learning_rate=learning_rate,
            max_depth=depth,
            subsample=subsample,
            random_state=self.seed,
        )

    def learn_table(self, table: Table, accuracies: Floats) -> None:
        """See `TablePredictor.learn_table`."""
        self.model.fit(table, accuracies)

    def predict_table(self, table: Table) -> Floats:
        """See `TablePredictor.predict_table`."""
        return np.asarray(self.model.predict(table), dtype=np.float64)

    def weights(self) -> Floats:
        """See `TablePredictor.weights`."""
        return np.asarray(self.model.feature_importances_, dtype=np.float64)


class XGBoost(Boosting):
    """Gradient boosting by XGBoost. Arguments as in `Boosting`."""

    def regressor(self, trees: int, learning_rate: float, depth: int, subsample: float) -> Any:
        """See `Boosting.regressor`."""
        return library("xgboost").XGBRegressor(
            n_estimators=trees,
            learning_rate=learning_rate,
            max_depth=depth,
            subsample=subsample,
            random_state=self.seed % 2**31,
            n_jobs=1,
        )


class LightGBM(Boosting):
    """Gradient boosting by LightGBM, whose leaves have at least so many architectures.

    Args:
        task: see `Boosting`, as all but the last one.
        features: see there.
        trees: see there.
        learning_rate: see there.
        depth: see there.
        subsample: see there.
        least_in_leaf: LightGBM's own 20 leaves nothing to split among 32 architectures.
    """

    def __init__(
        self,
        task: Task,
        features: Features | None,
        trees: int = 100,
        learning_rate: float = 0.1,
        depth: int = 6,
        subsample: float = 1.0,
        least_in_leaf: int = 5,
    ) -> None:
        at_least(1, least_in_leaf=least_in_leaf)
        self.least_in_leaf = least_in_leaf
        super().__init__(task, features, trees, learning_rate, depth, subsample)

    def regressor(self, trees: int, learning_rate: float, depth: int, subsample: float) -> Any:
        """See `Boosting.regressor`."""
        return library("lightgbm").LGBMRegressor(
            n_estimators=trees,
            learning_rate=learning_rate,
            max_depth=depth,
            subsample=subsample,
            subsample_freq=1,
            min_child_samples=self.least_in_leaf,
            importance_type="gain",
            random_state=self.seed % 2**31,
            n_jobs=1,
            deterministic=True,
            force_col_wise=True,
            verbosity=-1,
        )


def library(name: str) -> Any:
    """A module of the extra ``predictors``. Raises `UserError` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name} is not installed; get it with: pip install 'supernet[predictors]'") from error
