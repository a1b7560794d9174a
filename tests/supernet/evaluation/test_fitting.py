"""What a predictor says of architectures that it has not seen."""

import numpy as np
import pytest

from supernet.errors import UserError
from supernet.estimators.predictors.base import Predictor
from supernet.evaluation.fitting import cross_validated, predictions
from tests.supernet.estimators.predictors.examples import architectures

SOME = architectures(10)
VALUES = np.arange(10.0)


class Memory(Predictor):
    """Knows what it has seen, says -1 of the rest, and is unsure of it."""

    def learn(self, some, accuracies):
        self.seen = dict(zip(some, accuracies, strict=True))

    def predict(self, some):
        return np.array([self.seen.get(one, -1.0) for one in some])

    def spread(self, some):
        return np.array([float(one not in self.seen) for one in some])


class Mean(Predictor):
    def learn(self, some, accuracies):
        self.mean = accuracies.mean()

    def predict(self, some):
        return np.full(len(some), self.mean)


@pytest.mark.parametrize("folds", [2, 3, 10, 50])
def test_no_architecture_is_predicted_by_a_fit_that_has_seen_it(folds):
    found = cross_validated(Memory, SOME, VALUES, folds, seed=0)
    assert found.architectures == SOME
    assert found.accuracies.tolist() == VALUES.tolist()
    assert found.scores.tolist() == [-1.0] * 10
    assert found.deviations.tolist() == [1.0] * 10


def test_each_is_predicted_by_all_the_others_when_each_is_a_fold():
    found = cross_validated(Mean, SOME, VALUES, 10, seed=0)
    assert found.scores == pytest.approx((45 - VALUES) / 9)
    assert found.deviations is None


def test_the_folds_are_a_function_of_the_seed():
    one, same, other = (cross_validated(Mean, SOME, VALUES, 3, seed).scores.tolist() for seed in (0, 0, 1))
    assert one == same != other


def test_too_few_architectures_are_refused():
    with pytest.raises(UserError, match="2 architectures cannot be divided"):
        cross_validated(Mean, SOME[:2], VALUES[:2], 2, 0)


def test_a_fitted_predictor_is_asked_as_it_is():
    found = predictions(Memory().fit(SOME[:5], VALUES[:5]), SOME[3:7], VALUES[3:7])
    assert found.scores.tolist() == [3, 4, -1, -1]
    assert found.deviations.tolist() == [0, 0, 1, 1]
    assert found.seconds > 0
