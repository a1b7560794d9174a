"""Ridge regression by its normal equations."""

import numpy as np
import pytest

from supernet.estimators.predictors.ridge import PENALTIES, Ridge
from tests.supernet.estimators.predictors.examples import accuracies, architectures, features
from tests.supernet.estimators.tasks import task

SOME = architectures(40)
REST = architectures(120)[40:]


def solved(penalty):
    """The closed form ``(X'X + penalty I)^-1 X'y`` on standardised columns, with the mean apart."""
    x, y = features().table(SOME), accuracies(SOME)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation[deviation == 0] = 1
    z = (x - mean) / deviation
    weights = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    leverage = np.diag(z @ np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T)) + 1 / len(y)
    error = (((y - y.mean() - z @ weights) / (1 - leverage)) ** 2).mean()
    return (features().table(REST) - mean) / deviation @ weights + y.mean(), error


def test_a_given_penalty_gives_the_closed_form():
    predictor = Ridge(task(), features(), penalty=3.0).fit(SOME, accuracies(SOME))
    assert predictor.score(REST).numpy() == pytest.approx(solved(3.0)[0])


def test_the_penalty_is_that_with_the_least_error_when_each_is_left_out():
    predictor = Ridge(task(), features()).fit(SOME, accuracies(SOME))
    best = min(PENALTIES, key=lambda penalty: solved(penalty)[1])
    assert predictor.score(REST).numpy() == pytest.approx(solved(best)[0])


def test_a_penalty_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        Ridge(task(), features(), penalty=0.0)
