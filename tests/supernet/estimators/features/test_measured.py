"""Measurements as features."""

import functools
import math

import numpy as np
import pytest

from supernet.estimators.base import Estimator, Measured
from supernet.estimators.cost import Cost
from supernet.estimators.features.graf import GRAF
from supernet.estimators.features.measured import Measurements, Rows, signed_log
from tests.supernet.estimators.tasks import SMALL, task

ARCHITECTURES = [next(SMALL.enumerate()), SMALL.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|")]


class Two(Measured):
    """The first operation, and a number that is none."""

    names = ("first", "nothing")

    def __init__(self, some):
        self.space = some.space

    def measurements(self, architecture):
        return float(architecture["cell"][0]), -math.inf


class Together(Estimator):
    def __init__(self, some):
        pass

    def score(self, architectures):
        raise NotImplementedError


def test_what_estimators_measure_stands_side_by_side_compressed():
    features = Measurements(task(), {"size": functools.partial(Cost, unit="parameters"), "two": Two})
    assert features.names == ("size", "two.first", "two.nothing")
    assert features.costly
    sizes = Cost(task(), unit="parameters").score(ARCHITECTURES).numpy()
    table = features.table(ARCHITECTURES)
    assert table[:, 0] == pytest.approx(np.log(1 + sizes))
    assert table[:, 1] == pytest.approx([0, math.log(4)])
    assert (table[:, 2] == -math.inf).all()
    assert features.table([]).shape == (0, 3)


def test_compression_keeps_the_order_and_the_sign():
    values = [-math.inf, -1e50, -1.0, 0.0, 1e-9, 1.0, 1e60]
    found = signed_log(values)
    assert (np.diff(found) > 0).all()
    assert found[[2, 3, 5]] == pytest.approx([-math.log(2), 0, math.log(2)])
    assert abs(found[1:]).max() < 150


def test_what_scores_only_together_cannot_be_a_feature():
    with pytest.raises(ValueError, match="only together"):
        Measurements(task(), {"together": Together})
    with pytest.raises(ValueError, match="no estimators"):
        Measurements(task(), {})


def test_features_can_be_measured_like_scores():
    rows = Rows(task(), GRAF)
    assert rows.names == GRAF(task()).names
    assert rows.measurements(ARCHITECTURES[1]) == tuple(GRAF(task()).table(ARCHITECTURES[1:])[0])
