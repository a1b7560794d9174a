import pytest
import torch

from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.errors import UserError
from supernet.estimators import cost
from supernet.estimators.cost import Cost
from tests.supernet.estimators.tasks import task

SPACE = NASBench201()


def test_scores_are_the_published_sizes():
    architectures = [benchmark_order()[index] for index in (1462, 13714, 1651)]
    whole = task(SPACE, size=32)
    assert Cost(whole, "parameters").score(architectures).tolist() == [1_531_546, 1_073_466, 73_306]
    assert float(Cost(whole, "multiply_adds").score(architectures[1:2])) == pytest.approx(153.27e6, rel=1e-4)


@pytest.mark.parametrize("unit", ["parameters", "multiply_adds"])
def test_sums_are_what_is_counted_in_whole_networks(unit, monkeypatch):
    some = task(NASBench201(channels=4, cells_per_stage=1))
    architectures = some.space.sample(5, torch.Generator().manual_seed(0))
    summed = Cost(some, unit).score(architectures)

    def do_not_add_up(*_):
        raise UserError("they do not add up")

    monkeypatch.setattr(cost, "counted", do_not_add_up)
    assert Cost(some, unit).score(architectures).tolist() == summed.tolist()


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="unit is 'seconds'"):
        Cost(task(SPACE), "seconds")
