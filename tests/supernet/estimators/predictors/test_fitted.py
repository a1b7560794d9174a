"""``estimator=predictor``: fitted when it is made."""

import functools
import math

import pytest

from supernet.errors import UserError
from supernet.estimators.features.one_hot import OneHot
from supernet.estimators.predictors.fitted import Fitted
from supernet.estimators.predictors.forest import Forest
from supernet.estimators.predictors.graph_network import GraphNetwork
from supernet.estimators.predictors.ridge import Ridge
from supernet.estimators.predictors.trained import write_trained
from tests.supernet.estimators.predictors.examples import accuracies, architectures, features
from tests.supernet.estimators.tasks import SMALL, task

SOME = architectures(40)
ONE = SMALL.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|")
DISCONNECTED = SMALL.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|")


@pytest.fixture
def trained(tmp_path):
    write_trained(tmp_path / "trained.csv", SOME, accuracies(SOME), SMALL)
    return str(tmp_path)


def test_it_scores_as_the_predictor_does_and_says_how_sure_it_is(trained):
    made = Fitted(task(), OneHot, Forest, trained)
    forest = Forest(task(), features()).fit(SOME, accuracies(SOME))
    assert made.names == ("accuracy", "deviation")
    assert made.measurements(ONE) == (float(forest.score([ONE])), float(forest.deviation([ONE])))
    assert made.score([ONE]).tolist() == forest.score([ONE]).tolist()


def test_a_model_that_cannot_say_how_sure_it_is_measures_the_accuracy_alone(trained):
    made = Fitted(task(), OneHot, Ridge, trained)
    assert made.names == ("accuracy",)
    assert len(made.measurements(ONE)) == 1


def test_what_cannot_work_scores_minus_infinity(trained):
    assert Fitted(task(), OneHot, Forest, trained).measurements(DISCONNECTED) == (-math.inf, -math.inf)


def test_a_graph_network_needs_no_features(trained):
    made = Fitted(task(), {}, functools.partial(GraphNetwork, epochs=1), trained)
    assert math.isfinite(made.measurements(ONE)[0])


def test_a_model_that_needs_features_says_so(trained):
    with pytest.raises(UserError, match="estimator=predictor: Ridge learns from features"):
        Fitted(task(), {}, Ridge, trained)


def test_what_was_trained_may_lie_outside_a_restricted_space(trained):
    allowed = SMALL.allowed["cell"].clone()
    allowed[:, 3] = False
    small = SMALL.restrict({"cell": allowed})
    made = Fitted(task(small), OneHot, Ridge, trained)
    whole = Fitted(task(), OneHot, Ridge, trained)
    assert made.measurements(ONE) == whole.measurements(ONE)
