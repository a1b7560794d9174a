import pytest

from search_spaces.darts import DARTS
from supernet.costs.latency import measured
from supernet.errors import UserError
from supernet.estimators.latency import Latency
from tests.supernet.costs.tables import measurements
from tests.supernet.estimators.tasks import task

SPACE, IMAGE = DARTS(channels=4, layers=3), (3, 8, 8)


def test_scores_are_the_sums_of_measured_times(tmp_path, generator):
    found = measurements(SPACE, IMAGE)
    found.save(tmp_path)
    table = measured(found, SPACE, IMAGE)
    architectures = SPACE.sample(4, generator)
    expected = [table.of(architecture) for architecture in architectures]
    assert Latency(task(SPACE), str(tmp_path)).score(architectures).tolist() == expected
    narrow = task(DARTS(channels=2, layers=3))
    assert Latency(narrow, str(tmp_path), network={"channels": 4}).score(architectures).tolist() == expected


def test_without_a_table_there_is_a_hint_how_to_measure_one():
    with pytest.raises(UserError, match=r"python -m supernet.latency search_space=darts"):
        Latency(task(SPACE), None)
