import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.network import multiply_adds, parameters
from supernet.errors import UserError
from supernet.shrinkage.limits import Limits
from tests.supernet.estimators.tasks import SMALL, task

MACRO = NASBenchMacro(channels=4)


def some(space):
    return [one for one in space.sample(8, torch.Generator().manual_seed(0)) if space.is_valid(one)]


@pytest.mark.parametrize("space", [SMALL, MACRO], ids=lambda space: space.name)
@pytest.mark.parametrize("unit", ["parameters", "multiply_adds"])
def test_limits_are_those_of_the_stand_alone_network(space, unit):
    def cost(one):
        network = space.network(one)
        return parameters(network) if unit == "parameters" else multiply_adds(network, (3, 8, 8))

    costs = {one: cost(one) for one in some(space)}
    most = sorted(costs.values())[len(costs) // 2]
    accept = Limits(**{unit: most}).accept(task(space))
    assert {one: accept(one) for one in costs} == {one: cost <= most for one, cost in costs.items()}


def test_all_limits_hold_together_and_none_lets_everything_pass():
    architectures = some(SMALL)
    assert all(map(Limits().accept(task()), architectures))
    one = architectures[0]
    count, adds = parameters(SMALL.network(one)), multiply_adds(SMALL.network(one), (3, 8, 8))
    assert Limits(count, adds).accept(task())(one)
    assert not Limits(count, adds - 1).accept(task())(one)


def test_another_network_and_image_may_be_meant():
    one, meant = some(SMALL)[0], NASBench201(channels=8, cells_per_stage=2)
    adds = multiply_adds(meant.network(one), (3, 16, 16))
    network = {"channels": 8, "cells_per_stage": 2}
    assert Limits(multiply_adds=adds, network=network, size=16).accept(task())(one)
    assert not Limits(multiply_adds=adds - 1, network=network, size=16).accept(task())(one)
    with pytest.raises(UserError, match="no such argument"):
        Limits(parameters=1e6, network={"depth": 2}).accept(task())


def test_what_nothing_can_meet_is_refused():
    with pytest.raises(ValueError, match=r"the cheapest architecture of nasbench201 has .* parameters, more than 100"):
        Limits(parameters=100).accept(task())
    with pytest.raises(ValueError, match="belong together"):
        Limits(latency="logs")
