"""Every predictor refuses what it cannot learn from, and says nothing before it has learnt."""

import math

import numpy as np
import pytest
import torch

from supernet.estimators.predictors.base import Predictor
from tests.supernet.estimators.tasks import SMALL

ARCHITECTURES = SMALL.sample(3, torch.Generator().manual_seed(0))


class Mean(Predictor):
    """Predicts the mean of what it has seen."""

    def learn(self, architectures, accuracies):
        self.mean = accuracies.mean()

    def predict(self, architectures):
        return np.full(len(architectures), self.mean)


def test_a_fit_gives_the_predictor_and_a_further_one_forgets_it():
    predictor = Mean()
    assert predictor.fit(ARCHITECTURES, [1.0, 2.0, 6.0]) is predictor
    assert predictor.score(ARCHITECTURES).tolist() == [3.0] * 3
    assert predictor.fit(ARCHITECTURES[:2], torch.tensor([0, 1])).score(ARCHITECTURES[:1]).tolist() == [0.5]


def test_scores_are_in_float64_even_of_no_architecture():
    predictor = Mean().fit(ARCHITECTURES, [1.0, 2.0, 6.0])
    assert predictor.score(ARCHITECTURES).dtype == torch.float64
    assert predictor.score([]).shape == (0,)


@pytest.mark.parametrize("ask", [lambda p: p.score(ARCHITECTURES), lambda p: p.deviation([]), Mean.importances])
def test_nothing_is_said_before_a_fit(ask):
    with pytest.raises(ValueError, match="Mean was not fitted"):
        ask(Mean())


def test_a_model_that_is_never_unsure_says_so():
    predictor = Mean().fit(ARCHITECTURES, [1.0, 2.0, 6.0])
    assert predictor.deviation(ARCHITECTURES) is None
    assert predictor.importances() is None


@pytest.mark.parametrize(
    ("count", "accuracies", "reason"),
    [(3, [1.0, 2.0], "3 arch"), (1, [1.0], "at least 2"), (2, [1.0, math.nan], "finite"), (0, [], "at least 2")],
)  # fmt: skip
def test_what_cannot_be_learnt_from_is_refused(count, accuracies, reason):
    with pytest.raises(ValueError, match=reason):
        Mean().fit(ARCHITECTURES[:count], accuracies)
