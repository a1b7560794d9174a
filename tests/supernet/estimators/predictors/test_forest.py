"""The random forest is scikit-learn's."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from supernet.estimators.predictors.forest import Forest
from tests.supernet.estimators.predictors.examples import accuracies, architectures, features
from tests.supernet.estimators.tasks import task

SOME = architectures(60)
REST = architectures(120)[60:]


@pytest.fixture(scope="module")
def fitted() -> Forest:
    return Forest(task(seed=3), features(), trees=20).fit(SOME, accuracies(SOME))


@pytest.fixture(scope="module")
def reference() -> RandomForestRegressor:
    return RandomForestRegressor(20, random_state=3).fit(features().table(SOME), accuracies(SOME))


def test_it_predicts_the_mean_of_the_trees(fitted, reference):
    assert fitted.score(REST).numpy() == pytest.approx(reference.predict(features().table(REST)))


def test_its_deviation_is_that_of_the_trees(fitted, reference):
    each = [tree.predict(features().table(REST)) for tree in reference.estimators_]
    assert fitted.deviation(REST).numpy() == pytest.approx(np.std(each, axis=0))
    assert fitted.deviation(REST).mean() > fitted.deviation(SOME).mean() > 0


def test_its_importances_are_those_of_the_splits_and_find_what_matters(fitted, reference):
    found = fitted.importances()
    assert list(found.values()) == pytest.approx(list(reference.feature_importances_))
    assert max(found, key=found.get) == "2-3=nor_conv_3x3"


def test_each_split_can_see_a_part_of_the_features():
    made = Forest(task(), features(), trees=5, feature_share=0.2).fit(SOME, accuracies(SOME))
    reference = RandomForestRegressor(5, max_features=0.2, random_state=0)
    expected = reference.fit(features().table(SOME), accuracies(SOME)).predict(features().table(REST))
    assert made.score(REST).numpy() == pytest.approx(expected)


@pytest.mark.parametrize("arguments", [{"trees": 0}, {"feature_share": 0}, {"feature_share": 1.5}])
def test_settings_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        Forest(task(), features(), **arguments)
