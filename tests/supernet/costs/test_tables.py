import pytest
import torch

from search_spaces import published
from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.network import multiply_adds, parameters
from supernet.costs.tables import counted, extremes, resized
from supernet.errors import UserError
from tests.contracts.configurations import build, names

SMALL = {"channels": 4, "in_channels": 2, "num_classes": 3}
IMAGE = (2, 13, 16)  # odd sizes are rounded up in every operation alike


def small(name):
    layers = {"nasbench201": {"cells_per_stage": 2}, "nasbench_macro": {}}.get(name, {"layers": 4})
    return build("search_space", name, **SMALL, **layers)


@pytest.mark.parametrize("name", names("search_space"))
def test_the_sum_of_the_entries_is_the_size_of_the_stand_alone_network(name, generator):
    space = small(name)
    sizes = {"parameters": parameters, "multiply_adds": lambda network: multiply_adds(network, IMAGE)}
    for unit, size in sizes.items():
        table = counted(space, IMAGE, unit)
        for architecture in space.sample(4, generator):
            assert table.of(architecture) == size(space.network(architecture)), space.format(architecture)


def test_published_sizes_come_out():
    space = NASBench201()
    found = space.parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    assert counted(space, (3, 32, 32), "parameters").of(found) == parameters(space.network(found))
    darts = DARTS(channels=36, layers=20, auxiliary=True)
    table = counted(darts, (3, 32, 32), "parameters")
    assert round(table.of(darts.parse(published.DARTS["darts_v2"])) / 1e6, 2) == 3.35  # Liu et al., 2019: 3.3 million


@pytest.mark.parametrize(
    "space", [NASBench201(4, 1), DARTS(4, 3), DARTS(4, 3, threshold=0.5)], ids=["201", "darts", "fewer"]
)
def test_no_architecture_lies_outside_the_extremes_and_some_reach_them(space, generator):
    table = counted(space, (3, 8, 8), "parameters")
    least, most = extremes(space, table)
    found = [table.of(architecture) for architecture in space.sample(300, generator)]
    assert least <= min(found) < max(found) <= most
    if space.size() < 20_000:
        everything = [table.of(architecture) for architecture in space.enumerate()]
        assert (least, most) == (min(everything), max(everything))


def test_the_extremes_shrink_with_the_space():
    space = NASBench201(4, 1)
    table = counted(space, (3, 8, 8), "parameters")
    allowed = space.allowed["cell"].clone()
    allowed[:, 3] = False  # no 3x3 convolutions
    least, most = extremes(space.restrict({"cell": allowed}), table)
    assert least == extremes(space, table)[0]
    assert most == table.of(Architecture.of({"cell": [2] * 6}))


def test_counting_changes_no_random_state():
    before = torch.random.get_rng_state()
    counted(NASBench201(4, 1), (3, 8, 8), "multiply_adds")
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_size_of_the_network_keeps_everything_else():
    space = DARTS(channels=8, layers=3, none=False, num_classes=5)
    larger = resized(space, {"channels": 36, "layers": 20, "stem": None})
    assert larger.arguments == {**space.arguments, "channels": 36, "layers": 20}
    assert resized(space, None).arguments == space.arguments


def test_a_restricted_space_is_counted_as_a_whole():
    space = NASBench201(4, 1)
    allowed = space.allowed["cell"].clone()
    allowed[0, 3] = False
    entries = counted(resized(space.restrict({"cell": allowed}), None), (3, 8, 8), "parameters").entries["cell"]
    assert entries[0, 3] > 0
    assert counted(space.restrict({"cell": allowed}), (3, 8, 8), "parameters").entries["cell"][0, 3] == 0


def test_an_argument_the_space_does_not_have_is_refused():
    with pytest.raises(
        UserError, match=r"cost.network.layers: the networks of nasbench201 have no such argument; there are channels"
    ):
        resized(NASBench201(), {"layers": 20, "stem": None})


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="unit is 'grams'"):
        counted(NASBench201(), (3, 8, 8), "grams")


class Entangled(NASBench201):
    """A space whose stem depends on the architecture."""

    def build(self, allowed, *, searching, partial_channels=1):
        network = super().build(allowed, searching=searching, partial_channels=partial_channels)
        if int(allowed["cell"].sum()) == 6:
            network.stem.append(torch.nn.BatchNorm2d(self.channels))
        return network


def test_costs_that_do_not_add_up_are_refused():
    with pytest.raises(UserError, match="parameters of nasbench201 do not add up"):
        counted(Entangled(4, 1), (3, 8, 8), "parameters")
