"""Features side by side."""

import functools

import numpy as np
import pytest

from supernet.estimators.cost import Cost
from supernet.estimators.features.graf import GRAF
from supernet.estimators.features.joined import Joined
from supernet.estimators.features.measured import Measurements
from supernet.estimators.features.one_hot import OneHot
from tests.supernet.estimators.tasks import SMALL, task

SIZE = functools.partial(Measurements, estimators={"size": functools.partial(Cost, unit="parameters")})
ARCHITECTURES = list(SMALL.enumerate())[:3000:500]


def test_the_columns_of_all_parts_follow_one_another():
    joined = Joined(task(), {"graf": GRAF, "one_hot": OneHot, "size": SIZE})
    parts = [GRAF(task()), OneHot(task()), SIZE(task())]
    assert joined.names == sum((part.names for part in parts), ())
    assert np.array_equal(joined.table(ARCHITECTURES), np.hstack([part.table(ARCHITECTURES) for part in parts]))


def test_it_is_costly_if_a_part_is():
    assert Joined(task(), {"graf": GRAF, "size": SIZE}).costly
    assert not Joined(task(), {"graf": GRAF, "one_hot": OneHot}).costly


def test_equal_names_and_no_parts_are_refused():
    with pytest.raises(ValueError, match="both have input_degree"):
        Joined(task(), {"graf": GRAF, "again": GRAF})
    with pytest.raises(ValueError, match="no features"):
        Joined(task(), {})
