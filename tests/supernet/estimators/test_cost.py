import pytest

from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.estimators.cost import Cost
from tests.supernet.estimators.tasks import task

SPACE = NASBench201()


def test_scores_are_the_published_sizes():
    architectures = [benchmark_order()[index] for index in (1462, 13714, 1651)]
    whole = task(SPACE, size=32)
    assert Cost(whole, "parameters").score(architectures).tolist() == [1_531_546, 1_073_466, 73_306]
    assert float(Cost(whole, "multiply_adds").score(architectures[1:2])) == pytest.approx(153.27e6, rel=1e-4)


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="unit is 'seconds'"):
        Cost(task(SPACE), "seconds")
