import re

import pytest
import torch

from search_spaces.architecture import DROPPED
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet.alphas import Mixture
from supernet.costs.latency import Latency, command, measured
from supernet.costs.survey import survey
from supernet.errors import UserError
from tests.supernet.costs.tables import measurements

SPACE = DARTS(channels=4, layers=3)
IMAGE = (3, 8, 8)


def by_hand(space, found, architecture):
    """The latency as a sum over the modules of the architecture's own network."""
    times = {timed.shape: timed.milliseconds for timed in found.operations}
    shapes = {place.module: place.shape for place in survey(space, found.image).places}
    total = found.fixed
    for index, layer in enumerate(space.network(architecture).trunk):
        for group in getattr(layer, "groups", ()):
            total += len(group.edges) * times[shapes[f"trunk.{index}.operations.{group.key}"]]
    return total


@pytest.mark.parametrize("space", [SPACE, NASBench201(4, 2), RobustDARTS("s4", 4, 3)], ids=lambda space: space.name)
def test_the_latency_of_an_architecture_is_the_sum_over_its_operations(space, generator):
    found = measurements(space, IMAGE)
    table = measured(found, space, IMAGE)
    for architecture in space.sample(5, generator):
        assert table.of(architecture) == pytest.approx(by_hand(space, found, architecture))


def test_a_change_on_one_edge_changes_the_latency_by_the_same_amount_everywhere(generator):
    space = NASBench201(4, 1)
    table = measured(measurements(space, IMAGE), space, IMAGE)
    differences = {
        round(table.of(a.replace("cell", 2, 3)) - table.of(a.replace("cell", 2, 0)), 9)
        for a in space.sample(10, generator)
    }
    assert len(differences) == 1


def test_a_saved_table_steers_a_search(tmp_path, generator):
    measurements(SPACE, IMAGE).save(tmp_path)
    term = Latency(SPACE, IMAGE, path=str(tmp_path), target=50.0, weight=2.0)
    assert term.unit == "milliseconds"
    (found,) = SPACE.sample(1, generator)
    edges = {cell: torch.tensor([choice != DROPPED for choice in row]) / 2 for cell, row in found.choices}
    expected = term.expected(Mixture(found.one_hot(SPACE.operations, torch.float64), edges))
    assert float(expected) == pytest.approx(term.of(found))
    assert float(term.term(expected)) == pytest.approx(2 * abs(term.of(found) / 50 - 1))


def test_another_network_is_refused_with_both_remedies(tmp_path):
    measurements(DARTS(channels=6, layers=4, threshold=0.5, num_classes=7), (3, 16, 16)).save(tmp_path)
    with pytest.raises(UserError) as caught:
        Latency(SPACE, IMAGE, path=str(tmp_path))
    message = str(caught.value)
    assert "another network (darts for images of 3x16x16)" in message
    measuring = "python -m supernet.latency search_space=darts search_space.channels=4 search_space.layers=3 size=8"
    assert measuring in message
    assert message.endswith("add cost.network.channels=6 cost.network.layers=4 cost.size=16")
    found = dict(re.findall(r"cost\.(?:network\.)?(\w+)=(\d+)", message.partition("; if that")[2]))
    size, network = int(found.pop("size")), {name: int(value) for name, value in found.items()}
    assert Latency(SPACE, IMAGE, path=str(tmp_path), network=network, size=size).reference > 3


def test_another_space_is_refused_with_the_command_alone(tmp_path):
    measurements(NASBench201(4, 1), IMAGE).save(tmp_path)
    with pytest.raises(UserError, match=r"another network \(nasbench201 .*measure this one with: .* size=8$"):
        Latency(SPACE, IMAGE, path=str(tmp_path))


def test_without_a_path_the_command_is_told():
    with pytest.raises(
        UserError, match=r"latencies is needed .*cost.path=.*search_space=nasbench201 search_space.channels=36 size=8"
    ):
        Latency(NASBench201(), IMAGE, path=None, network={"channels": 36})


def test_the_command_names_what_differs_from_the_defaults():
    assert command(DARTS(none=False, max_skips=2), (3, 32, 48)) == (
        "python -m supernet.latency search_space=darts search_space.none=False search_space.max_skips=2 'size=[32,48]'"
    )
