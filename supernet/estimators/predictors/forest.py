"""Random forest: the mean of decision trees, each grown on a random resample.

Breiman, "Random Forests", 2001. Kadlecová et al., 2024, arXiv:2404.16551, fit one on their graph features.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.predictors.base import Floats
from supernet.estimators.predictors.table import TablePredictor, at_least


class Forest(TablePredictor):
    """The deviation is that of the trees' predictions; a feature's importance the variance its splits take away.

    Args:
        task: see `TablePredictor`, as the next one.
        features: see there.
        trees: how many.
        feature_share: the share of features that each split chooses from.
    """

    def __init__(self, task: Task, features: Features | None, trees: int = 100, feature_share: float = 1.0) -> None:
        super().__init__(task, features)
        at_least(1, trees=trees)
        if not 0 < feature_share <= 1:
            raise ValueError(f"feature_share is {feature_share}: it must be above 0 and at most 1")
        self.model = RandomForestRegressor(trees, max_features=float(feature_share), random_state=self.seed)

    def learn_table(self, table: Table, accuracies: Floats) -> None:
        """See `TablePredictor.learn_table`."""
        self.model.fit(table, accuracies)

    def predict_table(self, table: Table) -> Floats:
        """See `TablePredictor.predict_table`."""
        return self._each(table).mean(axis=0)

    def spread_table(self, table: Table) -> Floats:
        """See `TablePredictor.spread_table`."""
        return self._each(table).std(axis=0)

    def weights(self) -> Floats:
        """See `TablePredictor.weights`."""
        return np.asarray(self.model.feature_importances_)

    def _each(self, table: Table) -> Floats:
        """What each tree says ``(trees, architectures)``; asking the trees saves most of the time for few rows."""
        rows = np.ascontiguousarray(table, dtype=np.float32)
        return np.stack([tree.tree_.predict(rows)[:, 0] for tree in self.model.estimators_])
