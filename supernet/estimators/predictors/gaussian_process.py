"""Gaussian process: similar architectures have similar accuracies, and far from what was seen nothing is sure.

Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2, 4.2 and 5.4.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.preprocessing import StandardScaler

from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.predictors.base import Floats
from supernet.estimators.predictors.table import TablePredictor, at_least

NUGGET = 1e-8  # keeps the kernel matrix of equal rows invertible


class GaussianProcess(TablePredictor):
    """A Matérn kernel (nu = 5/2) on standardised features and noise, whose scales maximise the marginal likelihood.

    The deviation is that of an accuracy to be measured, its noise included.

    Args:
        task: see `TablePredictor`, as the next one.
        features: see there.
        restarts: further searches for the scales, from random ones.
    """

    def __init__(self, task: Task, features: Features | None, restarts: int = 0) -> None:
        super().__init__(task, features)
        at_least(0, restarts=restarts)
        width = max(1, len(self.features.names)) ** 0.5  # the usual distance of two standardised rows
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(width, (1e-2 * width, 1e3 * width), nu=2.5)
        self.scaler = StandardScaler()
        self.model = GaussianProcessRegressor(
            kernel + WhiteKernel(0.1, (1e-5, 1e1)),
            alpha=NUGGET,
            normalize_y=True,
            n_restarts_optimizer=restarts,
            random_state=self.seed,
        )

    def learn_table(self, table: Table, accuracies: Floats) -> None:
        """See `TablePredictor.learn_table`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound is a fit like any other
            self.model.fit(self.scaler.fit_transform(table), accuracies)

    def predict_table(self, table: Table) -> Floats:
        """See `TablePredictor.predict_table`."""
        return np.asarray(self.model.predict(self.scaler.transform(table)))

    def spread_table(self, table: Table) -> Floats:
        """See `TablePredictor.spread_table`."""
        _, deviation = self.model.predict(self.scaler.transform(table), return_std=True)
        return np.asarray(deviation)
