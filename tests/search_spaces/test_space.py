import math

import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from search_spaces.errors import ArchitectureError
from search_spaces.nasbench201 import NASBench201
from search_spaces.operations import ReLUConvBN
from search_spaces.space import SearchSpace
from tests.search_spaces.tiny import TINY, UNEVEN, Tiny

SPACE = NASBench201()


def test_a_candidate_is_allowed_and_may_be_chosen():
    assert TINY["uneven"].candidates("a")[:, 0].sum() == 0
    assert torch.equal(TINY["uneven"].candidates("a")[:, 1:], UNEVEN[:, 1:])


def test_a_restriction_that_leaves_no_architecture_is_refused():
    table = UNEVEN.clone()
    table[4, 1:] = False  # node 3 has one edge left, and keeps two
    with pytest.raises(ValueError, match="no architecture of tiny"):
        Tiny().restrict({"a": table})
    assert Tiny(fewer=True).restrict({"a": table}).size() > 0


def test_restriction_leaves_the_original_alone_and_shrinks_everything_with_it(generator):
    table = SPACE.allowed["cell"].clone()
    table[:, 0] = False  # no `none`
    small = SPACE.restrict({"cell": table})
    assert small.size() == 4**6
    assert SPACE.size() == 5**6
    assert len(list(small.enumerate())) == 4**6
    assert all(0 not in architecture["cell"] for architecture in small.sample(100, generator))
    assert torch.equal(small.prior()["cell"], table / 4)
    assert all(len(small.neighbours(a)) == 6 * 3 for a in small.sample(3, generator))


def test_restriction_cannot_bring_an_operation_back_or_empty_an_edge():
    table = SPACE.allowed["cell"].clone()
    table[0, 0] = False
    small = SPACE.restrict({"cell": table})
    with pytest.raises(ValueError, match="ruled out"):
        small.restrict(SPACE.allowed)
    empty = table.clone()
    empty[3] = False
    with pytest.raises(ValueError, match=r"edges \[3\]"):
        SPACE.restrict({"cell": empty})


def test_a_pool_is_the_whole_space_to_every_method(generator):
    pool = SPACE.sample(50, generator)
    small = SPACE.restrict(pool=pool)
    assert small.size() == len(set(pool))
    assert set(small.sample(300, generator)) <= set(pool)
    assert set(small.enumerate()) == set(pool)
    assert all(set(small.neighbours(a)) <= set(pool) for a in pool)
    assert [a for a in SPACE.enumerate() if small.contains(a)] == sorted(set(pool))
    prior = small.prior()["cell"]
    assert torch.allclose(prior.sum(dim=1), torch.ones(6))


def test_weights_stand_for_the_member_of_the_pool_that_they_are_nearest_to(generator):
    space = SPACE.restrict(pool=SPACE.sample(40, generator))
    weights = {"cell": torch.rand(6, 5, generator=generator, dtype=torch.float64)}

    def product(member):
        return math.prod(float(weights["cell"][edge, choice]) for edge, choice in enumerate(member["cell"]))

    assert space.decode(weights) == max(space.pool, key=product)
    assert SPACE.decode(weights) == SPACE.discretize(weights)
    for member in space.pool[:5]:
        assert space.decode(member.one_hot(SPACE.operations)) == member


def test_edges_that_a_member_does_not_keep_do_not_count_for_or_against_it():
    space = DARTS(channels=4, layers=3, threshold=0.1)
    few = Architecture.of(dict.fromkeys(space.edges, [3] + [-1, 3, -1, -1, 3] + [-1] * 3 + [3] + [-1] * 4))
    many = Architecture.of(dict.fromkeys(space.edges, [3, 3] + [3, 3, -1] + [3, 3, -1, -1] + [3, 3] + [-1] * 3))
    pool = space.restrict(pool=[few, many])
    assert pool.pool == (few, many)
    weights = torch.full((14, len(space.operations["normal"])), 0.1)
    weights[[1, 3, 6, 10], 3] = 0.9  # edges that only the second keeps
    assert pool.decode(dict.fromkeys(space.edges, weights)) == many
    weights[[1, 3, 6, 10], 3], weights[5, 3] = 0.05, 0.5
    assert pool.decode(dict.fromkeys(space.edges, weights)) == few


def test_operations_that_are_ruled_out_take_their_architectures_from_a_pool(generator):
    pool = SPACE.sample(50, generator)
    table = SPACE.allowed["cell"].clone()
    table[0, :2] = False
    smaller = SPACE.restrict(pool=pool).restrict({"cell": table})
    assert smaller.pool == tuple(one for one in dict.fromkeys(pool) if one["cell"][0] >= 2)
    assert 0 < smaller.size() < len(set(pool))


def test_a_pool_without_a_member_of_the_space_is_refused():
    table = SPACE.allowed["cell"].clone()
    table[:, 0] = False
    with pytest.raises(ValueError, match="keeps no architecture"):
        SPACE.restrict({"cell": table}, pool=[Architecture.of({"cell": [0] * 6})])


def test_sampling_is_a_function_of_the_generator():
    for space in (SPACE, DARTS(), TINY["uneven"]):
        first, same, other = (space.sample(20, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert first == same
        assert first != other


def test_mutation_is_one_edit_and_crossover_takes_each_edge_from_a_parent(generator):
    one, other = SPACE.sample(2, generator)
    assert SPACE.mutate(one, generator).distance(one) == 1
    child = SPACE.crossover(one, other, generator)
    assert all(c in (a, b) for c, a, b in zip(child["cell"], one["cell"], other["cell"], strict=True))


def test_mutation_without_a_neighbour_is_refused(generator):
    alone = SPACE.sample(1, generator)[0]
    with pytest.raises(ValueError, match="no neighbour"):
        SPACE.restrict(pool=[alone]).mutate(alone, generator)


def test_a_space_that_is_too_large_is_sampled_and_not_enumerated():
    with pytest.raises(ValueError, match=r"darts has 1,076,746,950,455,072,400 .*sample"):
        next(DARTS().enumerate())


def test_architectures_of_another_shape_are_refused():
    with pytest.raises(ArchitectureError, match="6 edges"):
        SPACE.network(Architecture.of({"cell": [0, 1]}))
    with pytest.raises(ArchitectureError, match="5 operations"):
        SPACE.network(Architecture.of({"cell": [0, 1, 2, 3, 4, 5]}))
    with pytest.raises(ArchitectureError, match="normal"):
        SPACE.network(Architecture.of({"normal": [0] * 6}))


class Plain(SearchSpace):
    """A space that leaves everything to its base class: two cell types, one of them keeps some of its inputs."""

    name = "plain"
    unchosen = frozenset({"none"})

    def __init__(self, channels: int = 4, fewer: bool = False) -> None:
        self.channels, self.fewer, self.fewer_inputs = channels, fewer, fewer
        self.edges = {"one": ((0, 1), (0, 2), (1, 2)), "two": ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))}
        self.operations = dict.fromkeys(self.edges, ("none", "skip_connect", "nor_conv_3x3"))
        self.inputs = {"two": {3: 2}}
        self.allowed = {cell: torch.ones(len(edges), 3, dtype=torch.bool) for cell, edges in self.edges.items()}

    def build(self, allowed, *, searching, partial_channels=1):
        raise NotImplementedError


@pytest.mark.parametrize("fewer", [False, True])
def test_text_comes_with_the_base_class_and_reads_back(fewer, generator):
    space = Plain(fewer=fewer)
    for architecture in space.sample(50, generator):
        text = space.format(architecture)
        assert space.parse(text) == architecture
        assert space.parse(text.replace("|", " | ")) == architecture
        assert "none" not in text
        assert space.canonical(architecture) == text


@pytest.mark.parametrize(("change", "message"), [
    (("two:", "three:"), "has not the cells `one:...;two:...`"),
    (("skip_connect~0", "skip_conect~0"), "one: node 1, .*did you mean 'skip_connect'"),
    (("skip_connect~0", "none~0"), "one: node 1, .*unknown operation 'none'"),
])  # fmt: skip
def test_errors_of_the_base_class_name_the_place(change, message):
    space = Plain()
    text = space.format(Architecture.of({"one": [1, 1, 1], "two": [1, 1, 1, 1, -1]}))
    with pytest.raises(ArchitectureError, match=message):
        space.parse(text.replace(*change, 1))


def test_the_base_class_knows_what_leads_from_the_input_to_the_output():
    space = Plain()
    assert space.is_valid(Architecture.of({"one": [0, 1, 0], "two": [0, 1, 0, 1, -1]}))
    assert not space.is_valid(Architecture.of({"one": [1, 0, 0], "two": [1, 1, 1, 1, -1]}))
    assert not space.is_valid(Architecture.of({"one": [1, 1, 1], "two": [0, 0, -1, 0, 1]}))


def test_arguments_rebuild_a_space_and_may_be_changed():
    space = Plain(channels=7, fewer=True)
    assert space.arguments == {"channels": 7, "fewer": True}
    other = space.resized(channels=9)
    assert (other.channels, other.fewer) == (9, True)


def test_a_users_own_operation_is_a_candidate_like_any_other(generator):
    def five(copies, in_channels, out_channels, stride, form):
        return ReLUConvBN(copies, in_channels, out_channels, 5, stride, form.affine)

    for space in (
        NASBench201(channels=4, cells_per_stage=1, extra_operations={"nor_conv_5x5": five}),
        DARTS(channels=4, layers=3, extra_operations={"nor_conv_5x5": five}),
    ):
        cell = next(iter(space.edges))
        assert space.operations[cell][-1] == "nor_conv_5x5"
        assert "extra_operations" not in space.arguments
        assert space.resized(channels=8).operations == space.operations
        found = next(a for a in space.sample(200, generator) if "nor_conv_5x5" in space.format(a))
        assert space.parse(space.format(found)) == found
        supernet = space.supernet()
        network = space.build(found.allowed(space.operations), searching=True)
        network.inherit(supernet)
        images = torch.randn(2, 3, 16, 16)
        torch.testing.assert_close(network(images), supernet(images, found.one_hot(space.operations)))
        assert space.canonical(found)
