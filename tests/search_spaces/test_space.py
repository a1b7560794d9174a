import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import NASBench201

SPACE = NASBench201()


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
    prior = small.prior()["cell"]
    assert torch.allclose(prior.sum(dim=1), torch.ones(6))


def test_sampling_is_uniform_and_a_function_of_the_generator():
    first = SPACE.sample(2000, torch.Generator().manual_seed(1))
    assert first == SPACE.sample(2000, torch.Generator().manual_seed(1))
    share = torch.stack([a.one_hot(SPACE.operations)["cell"] for a in first]).mean(dim=0)
    assert (share - 0.2).abs().max() < 0.04  # four and a half standard deviations


def test_mutation_is_one_edit_and_crossover_takes_each_edge_from_a_parent(generator):
    one, other = SPACE.sample(2, generator)
    assert SPACE.mutate(one, generator).distance(one) == 1
    child = SPACE.crossover(one, other, generator)
    assert all(c in (a, b) for c, a, b in zip(child["cell"], one["cell"], other["cell"], strict=True))


def test_architectures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="6 edges"):
        SPACE.network(Architecture.of({"cell": [0, 1]}))
    with pytest.raises(ValueError, match="normal"):
        SPACE.network(Architecture.of({"normal": [0] * 6}))
