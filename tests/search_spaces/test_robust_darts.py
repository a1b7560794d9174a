import copy

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import EDGES
from search_spaces.operations import Form
from search_spaces.robust_darts import VARIANTS, RobustDARTS
from tests.search_spaces.plain import PlainNetwork

OPERATIONS = {
    "s1": {
        "normal": ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"),
        "reduce": (
            "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5",
        ),
    },
    "s2": dict.fromkeys(("normal", "reduce"), ("skip_connect", "sep_conv_3x3")),
    "s3": dict.fromkeys(("normal", "reduce"), ("none", "skip_connect", "sep_conv_3x3")),
    "s4": dict.fromkeys(("normal", "reduce"), ("noise", "sep_conv_3x3")),
}  # fmt: skip
S1_IN_SHORT = {  # as in the specification, edge by edge
    "normal": "skip,dil3 skip,dil5 skip,dil5 skip,sep3 skip,dil3 max,skip skip,sep3 skip,sep3 skip,dil3 skip,sep3 "
    "max,skip skip,dil3 dil3,dil5 dil3,dil5",
    "reduce": "max,avg max,dil3 max,avg max,avg skip,dil5 max,avg max,sep3 skip,dil3 skip,dil5 max,avg max,avg "
    "skip,dil5 skip,dil5 skip,dil5",
}


@pytest.fixture(params=list(VARIANTS))
def variant(request):
    return request.param


def test_operations_and_sizes_are_the_published_ones(variant):
    space = RobustDARTS(variant)
    assert space.name == f"robust_darts_{variant}"
    assert space.operations == OPERATIONS[variant]
    assert all(len(table) == 14 for table in space.allowed.values())
    assert space.size() == (180 * 2**8) ** 2  # two operations may be chosen on every edge
    assert RobustDARTS(**space.arguments).arguments == space.arguments


@pytest.mark.parametrize("cell", ["normal", "reduce"])
def test_s1_has_its_own_two_operations_on_each_edge(cell):
    space = RobustDARTS("s1")
    rows = []
    for row in space.allowed[cell]:
        names = [name for name, allowed in zip(space.operations[cell], row.tolist(), strict=True) if allowed]
        short = (name.partition("_")[0] + (name[-1] if "conv" in name else "") for name in names)
        rows.append(",".join(name.replace("skip_connect", "skip") for name in short))
    assert " ".join(rows) == S1_IN_SHORT[cell].replace("skipt", "skip")


def test_the_supernet_equals_the_plain_one(variant):
    space = RobustDARTS(variant, channels=2, layers=3)
    network = space.supernet().double()
    reference = PlainNetwork(network, space, Form(affine=False, pool_norm=True))
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    weights = {
        cell: (torch.rand(table.shape, dtype=torch.float64) * table).requires_grad_()
        for cell, table in space.allowed.items()
    }
    if variant == "s4":  # noise cannot be compared draw by draw
        for table in weights.values():
            table.data[:, 0] = 0
    out, expected = network(x, weights), reference(x, weights)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    probe = torch.randn_like(out)
    for (cell, table), mine, plain_gradient in zip(
        weights.items(),
        torch.autograd.grad((out * probe).sum(), list(weights.values()), retain_graph=True),
        torch.autograd.grad((expected * probe).sum(), list(weights.values())),
        strict=True,
    ):
        compared = space.allowed[cell].clone()
        compared[:, [name in ("none", "noise") for name in space.operations[cell]]] = False
        assert table.shape == mine.shape
        torch.testing.assert_close(mine[compared], plain_gradient[compared], rtol=1e-11, atol=1e-11)
        assert not mine[~space.allowed[cell]].any()  # what is not allowed on an edge is not there


def test_found_networks_run(variant, generator):
    space = RobustDARTS(variant, channels=4, layers=3, auxiliary=True, num_classes=7)
    for architecture in space.sample(2, generator):
        assert space.contains(architecture)
        assert space.parse(space.format(architecture)) == architecture
        logits, extra = space.network(architecture).both(torch.randn(2, 3, 8, 8))
        assert logits.shape == extra.shape == (2, 7)


def test_none_is_mixed_in_s3_and_never_chosen(generator):
    space = RobustDARTS("s3")
    assert space.allowed["normal"].all()
    assert all("none" not in space.format(architecture) for architecture in space.sample(30, generator))
    weights = torch.tensor([0.9, 0.04, 0.06]).expand(14, 3)
    found = space.discretize({"normal": weights, "reduce": weights})
    assert set(found["normal"]) == {2, DROPPED}


def test_noise_may_be_chosen_in_s4_and_does_not_carry_the_image():
    space = RobustDARTS("s4", channels=4, layers=3, max_skips=2)
    weights = torch.tensor([0.9, 0.1]).expand(14, 2)
    found = space.discretize({"normal": weights, "reduce": weights})
    assert set(found["normal"]) == {0, DROPPED}
    assert not space.is_valid(found)
    x = torch.randn(2, 3, 8, 8)
    network = space.network(found).eval()
    torch.manual_seed(1)
    first = network(x)
    torch.manual_seed(1)
    assert torch.equal(network(x + 1), first)
    mixed = Architecture.of({"normal": [1, *found["normal"][1:]], "reduce": [1, *found["reduce"][1:]]})
    assert space.is_valid(mixed)


def test_noise_is_the_same_from_wherever_it_starts():
    space = RobustDARTS("s4")
    row = [1, 1, 1, 0, DROPPED, *[1, 1, DROPPED, DROPPED], *[1, 1, DROPPED, DROPPED, DROPPED]]
    one = Architecture.of({"normal": row, "reduce": row})
    other = one.replace("normal", EDGES.index((1, 3)), DROPPED).replace("normal", EDGES.index((2, 3)), 0)
    assert space.canonical(one) == space.canonical(other)
    assert space.canonical(one) != space.canonical(one.replace("normal", EDGES.index((1, 3)), 1))


def test_neighbours_lead_to_edges_that_share_no_operation(generator):
    """In S1 some edges of a node share no operation; a move then takes one of the other edge's."""
    space = RobustDARTS("s1")
    reduce = [0] * 14
    names = space.operations["reduce"]
    for edge in range(14):
        reduce[edge] = int(space.allowed["reduce"][edge].nonzero()[0])
    for dropped in (4, 7, 8, 11, 12, 13):
        reduce[dropped] = DROPPED
    row = [
        int(table.nonzero()[0]) if edge in (0, 1, 2, 3, 5, 6, 9, 10) else -1
        for edge, table in enumerate(space.allowed["normal"])
    ]
    architecture = Architecture.of({"normal": row, "reduce": reduce})
    assert space.contains(architecture)
    moved = {near["reduce"][4] for near in space.neighbours(architecture)} - {DROPPED}
    assert {names[choice] for choice in moved} == {"skip_connect", "dil_conv_5x5"}


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"variant is 's5'.*s1, s2, s3, s4"):
        RobustDARTS("s5")


def test_restricting_one_space_leaves_the_others_alone():
    space = RobustDARTS("s2")
    table = copy.deepcopy(space.allowed["normal"])
    table[:, 0] = False
    assert space.restrict({"normal": table}).size() == 180 * 180 * 2**8
    assert RobustDARTS("s2").size() == space.size() == (180 * 2**8) ** 2
