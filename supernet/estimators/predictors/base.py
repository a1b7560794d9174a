"""The contract of predictors: fitted on the accuracies of some architectures, they score any."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from search_spaces.architecture import Architecture
from supernet.estimators.base import Estimator, Task
from supernet.estimators.features.base import Features

Floats = NDArray[np.float64]


class Predictor(Estimator):
    """Predicts the accuracy of architectures from that of others.

    A fit is a function of what it is given and of the task's seed; a further one forgets the one before. A subclass
    says how it fits and predicts; here is what all have in common.
    """

    _fitted = False

    def fit(self, architectures: Sequence[Architecture], accuracies: Sequence[float] | Floats | Tensor) -> Self:
        """Learn from trained architectures; returns itself.

        Raises ValueError unless there are at least two architectures with one finite accuracy each.
        """
        values = np.asarray(accuracies, dtype=np.float64)
        if values.shape != (len(architectures),):
            raise ValueError(f"there are {len(architectures)} architectures, but accuracies of shape {values.shape}")
        if len(values) < 2:
            raise ValueError(f"a predictor cannot be fitted on {len(values)} architectures: give at least 2")
        if not np.isfinite(values).all():
            raise ValueError("an accuracy is not a finite number: a predictor cannot be fitted on it")
        self.learn(architectures, values)
        self._fitted = True
        return self

    def score(self, architectures: Sequence[Architecture]) -> Tensor:
        """The predicted accuracies, in the unit of those it was fitted on, or what ranks as they do; all are finite.

        Raises ValueError before a fit.
        """
        self._check_fitted()
        return torch.from_numpy(self.predict(architectures)) if architectures else torch.zeros(0, dtype=torch.float64)

    def deviation(self, architectures: Sequence[Architecture]) -> Tensor | None:
        """How sure each score is: one standard deviation in the same unit, None for a model that cannot say.

        Raises ValueError before a fit.
        """
        self._check_fitted()
        found = self.spread(architectures) if architectures else np.zeros(0)
        return None if found is None else torch.from_numpy(found)

    def importances(self) -> dict[str, float] | None:
        """How much each feature matters to the fit, adding up to one; None for a model that cannot say.

        Raises ValueError before a fit.
        """
        self._check_fitted()
        return self.weigh()

    @abstractmethod
    def learn(self, architectures: Sequence[Architecture], accuracies: Floats) -> None:
        """Fit on at least two architectures with finite accuracies ``(architectures,)``."""

    @abstractmethod
    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """The scores ``(architectures,)`` of at least one architecture, after a fit."""

    def spread(self, architectures: Sequence[Architecture]) -> Floats | None:
        """See `deviation`; after a fit."""
        return None

    def weigh(self) -> dict[str, float] | None:
        """See `importances`; after a fit."""
        return None

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise ValueError(f"{type(self).__name__} was not fitted: call fit(architectures, accuracies) first")


PredictorFactory = Callable[[Task, Features | None], Predictor]
"""What a configuration gives (``_partial_: true``): a predictor that still has to be told its task and its features.

The features are None for a predictor that looks at architectures itself.
"""
