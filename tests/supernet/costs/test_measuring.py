import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.costs.latency import measured
from supernet.costs.measuring import measure, remainder
from supernet.costs.survey import survey
from tests.supernet.costs.tables import measurements

SPACE = NASBench201(channels=4, cells_per_stage=1)
IMAGE = (3, 8, 8)


def test_the_remainder_is_what_the_operations_do_not_explain(generator):
    table = measured(measurements(SPACE, IMAGE), SPACE, IMAGE)
    architectures = SPACE.sample(5, generator)
    sums = torch.tensor([table.of(a) - table.fixed for a in architectures], dtype=torch.float64)
    table = type(table)(table.unit, table.entries, 0.0)
    fixed, check = remainder(table, architectures, sums + 1.25)
    assert fixed == pytest.approx(1.25)
    assert check["architectures"] == 5
    assert check["relative_error"] == pytest.approx(0)
    assert check["kendall_tau"] == pytest.approx(1)
    fixed, check = remainder(table, architectures, 0.5 * sums)  # overlapping operations: faster than their sum
    assert fixed == 0
    assert check["relative_error"] == pytest.approx(1)


def test_every_shape_is_measured_once(generator):
    counted = []
    found, spread = measure(
        SPACE, IMAGE, SPACE.sample(2, generator), batch_size=2, device=torch.device("cpu"), threads=1,
        rounds=lambda count: counted.append(count) or range(2),
    )  # fmt: skip
    places = survey(SPACE, IMAGE).places
    assert {timed.shape for timed in found.operations} == {place.shape for place in places}
    assert sum(timed.places for timed in found.operations) == len(places)
    assert counted == [len(found.operations) + 2]
    assert len(found.operations) == 3 * 4  # stages, operations but `none`
    assert all(timed.milliseconds > 0 for timed in found.operations)
    assert spread >= 0
    assert found.times(places) is not None
