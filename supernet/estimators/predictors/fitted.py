"""``estimator=predictor``: a predictor that is fitted when it is made, on trained architectures from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import Measured, Task
from supernet.estimators.features.base import FeaturesFactory
from supernet.estimators.predictors.base import PredictorFactory
from supernet.estimators.predictors.trained import read_trained


class Fitted(Measured):
    """What it measures is the predicted accuracy and, where the model has one, the deviation.

    The fit is a function of file and seed, so that it is the same in every process. An architecture whose output does
    not depend on its input scores minus infinity.

    Args:
        task: what is scored.
        features: what the model looks at; an empty mapping for nothing but the cells.
        model: what is fitted.
        trained: a csv file with columns arch and accuracy, or the folder of a run that has written one.

    Raises `UserError` where the file, features or model do not fit the space.
    """

    def __init__(
        self, task: Task, features: FeaturesFactory | Mapping[str, Any] | None, model: PredictorFactory, trained: str
    ) -> None:
        self.space = task.space
        architectures, accuracies = read_trained(trained, task.space.resized())
        described = features(task) if callable(features) else None
        try:
            self.predictor = model(task, described).fit(architectures, accuracies)
        except ValueError as error:
            raise UserError(f"estimator=predictor: {error}") from error
        unsure = self.predictor.deviation(architectures[:1]) is not None
        self.names = ("accuracy", "deviation") if unsure else ("accuracy",)

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        if not self.space.is_valid(architecture):
            return (-math.inf,) * len(self.names)
        deviation = self.predictor.deviation([architecture])
        found = [self.predictor.score([architecture]), *([] if deviation is None else [deviation])]
        return tuple(float(one) for one in found)
