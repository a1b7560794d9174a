import functools

import pytest
import torch

from supernet.estimators.aggregate import RankAggregate
from supernet.estimators.cost import Cost
from supernet.estimators.several import Several
from tests.supernet.estimators.tasks import SMALL, task

SIZES = {name: functools.partial(Cost, unit=name) for name in ("parameters", "multiply_adds")}


def test_numbers_stand_side_by_side_under_the_names_of_their_estimators():
    both = Several(task(), {"size": functools.partial(RankAggregate, estimators=SIZES), "again": SIZES["parameters"]})
    assert both.names == ("size.parameters", "size.multiply_adds", "again")
    (architecture,) = SMALL.sample(1, torch.Generator().manual_seed(0))
    first, second, third = both.measurements(architecture)
    assert first == third == SIZES["parameters"](task()).measurements(architecture)[0]
    assert second == SIZES["multiply_adds"](task()).measurements(architecture)[0]


def test_what_scores_architectures_only_together_is_refused():
    with pytest.raises(ValueError, match="together cannot be one of several"):
        Several(task(), {"together": lambda task: object()})
    with pytest.raises(ValueError, match="no estimators"):
        Several(task(), {})
