import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet.estimators.proxies.published_order import published_order
from supernet.estimators.supernets import Mixed, uniform
from tests.supernet.estimators.tasks import SMALL, Published

SPACES = [
    SMALL, DARTS(channels=4, layers=3), RobustDARTS("s2", channels=4, layers=3), NASBenchMacro(channels=4),
    NASBench1Shot1(2, channels=4, layers=3),
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES[:3], ids=lambda space: space.name)
def test_it_is_the_order_of_a_network_with_a_module_for_each_edge(space):
    for architecture in space.sample(4, torch.Generator().manual_seed(0)):
        network = space.network(architecture)
        for tensor in network.parameters():
            tensor.data.normal_()  # so that parameters can be told apart
        reference = Published(network, space, architecture)
        ours = [part.of(network.get_parameter(part.name)) for part in published_order(network)]
        theirs = [parameter for _, parameter in reference.named_parameters()]
        assert [part.size for part in published_order(network)] == [parameter.numel() for parameter in theirs]
        assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
        again = [part.of(reference.get_parameter(part.name)) for part in published_order(reference)]
        assert all(torch.equal(mine, other) for mine, other in zip(again, theirs, strict=True))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_every_entry_of_every_parameter_occurs_once(space):
    for network in (
        space.network(space.sample(1, torch.Generator().manual_seed(0))[0]),
        Mixed(space.supernet(), uniform(space.allowed)),
    ):
        parts = published_order(network)
        assert len(set(parts)) == len(parts)
        assert {part.name for part in parts} == {name for name, _ in network.named_parameters()}
        assert sum(part.size for part in parts) == sum(parameter.numel() for parameter in network.parameters())
