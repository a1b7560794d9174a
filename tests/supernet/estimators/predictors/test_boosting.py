"""Gradient boosting by three libraries."""

import sys

import pytest
from sklearn.ensemble import GradientBoostingRegressor

from supernet.errors import UserError
from supernet.estimators.predictors.boosting import Boosting, LightGBM, XGBoost
from tests.supernet.estimators.predictors.examples import accuracies, architectures, features
from tests.supernet.estimators.tasks import task

SOME = architectures(60)
REST = architectures(120)[60:]


def test_it_is_that_of_scikit_learn():
    made = Boosting(task(seed=2), features(), trees=15, learning_rate=0.2, depth=2, subsample=0.7)
    reference = GradientBoostingRegressor(
        n_estimators=15, learning_rate=0.2, max_depth=2, subsample=0.7, random_state=2
    )
    reference.fit(features().table(SOME), accuracies(SOME))
    assert made.fit(SOME, accuracies(SOME)).score(REST).tolist() == reference.predict(features().table(REST)).tolist()
    assert list(made.importances().values()) == pytest.approx(list(reference.feature_importances_))
    assert made.deviation(REST) is None


@pytest.mark.parametrize(("kind", "name"), [(XGBoost, "xgboost"), (LightGBM, "lightgbm")])
def test_the_libraries_of_the_extra_learn_the_same_again_and_find_what_matters(kind, name):
    pytest.importorskip(name)
    once, again = (kind(task(seed=2**40), features(), subsample=0.8).fit(SOME, accuracies(SOME)) for _ in range(2))
    assert once.score(REST).tolist() == again.score(REST).tolist()
    assert ((once.score(REST).numpy() - accuracies(REST)) ** 2).mean() < accuracies(REST).var() / 2
    assert max(once.importances(), key=once.importances().get) == "2-3=nor_conv_3x3"


@pytest.mark.parametrize(("kind", "name"), [(XGBoost, "xgboost"), (LightGBM, "lightgbm")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(kind, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"{name} is not installed.*supernet\[predictors\]"):
        kind(task(), features())


@pytest.mark.parametrize("arguments", [{"trees": 0}, {"depth": 0}, {"learning_rate": 0.0}, {"subsample": 1.1}])
def test_settings_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        Boosting(task(), features(), **arguments)
