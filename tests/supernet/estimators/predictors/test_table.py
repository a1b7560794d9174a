"""What predictors with a table of features have in common."""

import math

import numpy as np
import pytest

from supernet.estimators.features.known import Known
from supernet.estimators.predictors.ridge import Ridge
from supernet.estimators.predictors.table import TablePredictor, at_least
from tests.supernet.estimators.predictors.examples import architectures
from tests.supernet.estimators.tasks import task


class First(TablePredictor):
    """Says the first feature."""

    def learn_table(self, table, accuracies):
        self.seen = table

    def predict_table(self, table):
        return table[:, 0].copy()


def test_what_was_not_measured_counts_as_the_lowest_that_was_learnt_from():
    some = architectures(4)
    rows = dict(zip(some, [[3, 1], [math.nan, -math.inf], [5, -math.inf], [math.inf, 2]], strict=True))
    predictor = First(task(), Known(("a", "b"), rows)).fit(some[:3], [1, 2, 3])
    assert predictor.seen.tolist() == [[3, 1], [3, 1], [5, 1]]
    assert predictor.score(some).tolist() == [3, 3, 5, 3]


def test_a_feature_that_was_never_measured_is_a_zero():
    some = architectures(2)
    predictor = First(task(), Known(("a",), {one: [-math.inf] for one in some})).fit(some, [1, 2])
    assert predictor.score(some).tolist() == [0, 0]


def test_importances_add_up_to_one_unless_nothing_matters():
    some = architectures(3)
    rows = dict(zip(some, np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 1.0]]), strict=True))
    predictor = Ridge(task(), Known(("x", "same", "y"), rows))
    found = predictor.fit(some, [0.0, 2.0, 4.0]).importances()
    assert sum(found.values()) == pytest.approx(1)
    assert found["x"] > found["y"] > found["same"] == 0
    assert predictor.fit(some, [5.0, 5.0, 5.0]).importances() == {"x": 0, "same": 0, "y": 0}


def test_features_are_needed():
    with pytest.raises(ValueError, match="learns from features"):
        Ridge(task(), None)


@pytest.mark.parametrize(("least", "value"), [(1, 0), (1, 1.5), (1, True), (0.0, -1), (0.0, math.nan), (1, "2")])
def test_numbers_that_make_no_sense_are_refused(least, value):
    with pytest.raises(ValueError, match="trees is"):
        at_least(least, trees=value)
