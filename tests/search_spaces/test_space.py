import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from search_spaces.errors import ArchitectureError
from search_spaces.nasbench201 import NASBench201
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
