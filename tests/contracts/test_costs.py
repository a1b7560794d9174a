"""The cost terms work with every relaxation, formulation and search space."""

import pytest
import torch

from supernet.alphas import Mixture
from supernet.errors import UserError
from tests.contracts.configurations import build, names
from tests.supernet.searches import SPACE, TWO_CELLS, module, random_batches, steps

IMAGE = (3, 8, 8)
COUNTED = [name for name in names("cost") if name not in ("none", "latency")]  # the latter needs a measured file


def expected(search, cost):
    return float(cost.expected(search.alphas.mean()))


def assert_a_heavy_term_makes_it_cheaper(relaxation, formulation):
    cost = build("cost", "parameters", space=SPACE, image=IMAGE, weight=1000.0)
    search = module(build("relaxation", relaxation), build("formulation", formulation), cost=cost)
    before = expected(search, cost)
    steps(search, random_batches(4, torch.float32))
    assert expected(search, cost) < before


@pytest.mark.parametrize("formulation", names("formulation"))
def test_a_heavy_term_makes_what_every_formulation_finds_cheaper(formulation):
    assert_a_heavy_term_makes_it_cheaper("softmax", formulation)


@pytest.mark.parametrize("relaxation", names("relaxation"))
def test_it_does_so_for_every_relaxation_that_learns_and_others_refuse_it(relaxation):
    if build("relaxation", relaxation).learns:
        assert_a_heavy_term_makes_it_cheaper(relaxation, "first_order")
    else:
        with pytest.raises(UserError, match="learns none; use cost=none"):
            assert_a_heavy_term_makes_it_cheaper(relaxation, "first_order")


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=lambda space: space.name)
def test_the_term_is_logged_in_its_unit(name, space):
    cost = build("cost", name, space=space, image=IMAGE)
    search = module(space=space, cost=cost)
    before = expected(search, cost)
    steps(search.float(), random_batches(1, torch.float32))
    assert float(search.measures.newest[f"step/cost_{name}"]) == pytest.approx(before)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("search_space", names("search_space"))
def test_every_search_space_has_costs(name, search_space):
    layers = {"nasbench201": {"cells_per_stage": 1}, "nasbench_macro": {}}.get(search_space, {"layers": 3})
    space = build("search_space", search_space, channels=4, in_channels=3, num_classes=3, **layers)
    cost = build("cost", name, space=space, image=IMAGE, network={"channels": 8})
    small = build("cost", name, space=space, image=IMAGE)
    weights = Mixture({cell: table / table.sum(dim=1, keepdim=True) for cell, table in space.allowed.items()})
    assert cost.expected(weights) > small.expected(weights) > 0


@pytest.mark.parametrize("search_space", names("search_space"))
def test_the_strongest_operations_are_those_that_every_search_space_reads_off(search_space):
    layers = {"nasbench201": {"cells_per_stage": 1}, "nasbench_macro": {}}.get(search_space, {"layers": 3})
    space = build("search_space", search_space, channels=4, in_channels=3, num_classes=3, **layers)
    cost = build("cost", "parameters", space=space, image=IMAGE)
    for _ in range(5):
        weights = {cell: torch.rand(table.shape) * table for cell, table in space.allowed.items()}
        assert float(cost.strongest(Mixture(weights))) == cost.of(space.discretize(weights))
        edges = {cell: torch.rand(len(table)) for cell, table in weights.items()}
        mixture = Mixture(weights, edges)
        assert float(cost.strongest(mixture)) == cost.of(space.discretize(mixture.combined()))


def test_larger_images_need_more_multiply_adds_and_no_more_parameters():
    sizes = {name: build("cost", name, space=SPACE, image=IMAGE).reference for name in COUNTED}
    larger = build("cost", "multiply_adds", space=SPACE, image=IMAGE, size=16).reference
    assert larger > 3.9 * sizes["multiply_adds"]
    assert build("cost", "parameters", space=SPACE, image=(3, 16, 16)).reference == sizes["parameters"]
