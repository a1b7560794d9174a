from collections import Counter

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet.warm_start.design import balanced, turns

SPACES = [
    NASBench201(), DARTS(), DARTS(none=False, threshold=0.5), RobustDARTS("s1"), RobustDARTS("s4"), NASBenchMacro(),
    NASBench1Shot1(1), NASBench1Shot1(3),
]  # fmt: skip


def design(space, count=60, seed=0):
    return balanced(space, count, torch.Generator().manual_seed(seed))


def occurrences(space, architectures):
    """For each cell type and edge how often it is kept, and how often with each of its operations."""
    for cell in space.edges:
        for edge, candidates in enumerate(space.candidates(cell)):
            chosen = Counter(architecture[cell][edge] for architecture in architectures)
            dropped = chosen.pop(DROPPED, 0)
            yield cell, edge, len(architectures) - dropped, [chosen[o] for o in candidates.nonzero().flatten().tolist()]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("count", [60, 47])
def test_every_operation_stands_on_an_edge_equally_often_and_all_are_valid(space, count):
    found = design(space, count)
    assert len(found) == count
    for architecture in found:
        space.check(architecture)
        assert space.contains(architecture)
        assert space.is_valid(architecture)
    for cell, edge, kept, counts in occurrences(space, found):
        assert sum(counts) == kept, (cell, edge)
        assert max(counts) - min(counts) <= 1, (cell, edge)


@pytest.mark.parametrize("space", [DARTS(), RobustDARTS("s2")], ids=lambda space: space.name)
def test_a_node_keeps_each_of_its_inputs_equally_often(space):
    found = design(space, 60)  # a multiple of the 1, 3, 6 and 10 pairs of inputs
    for cell, edge, kept, _ in occurrences(space, found):
        node = space.edges[cell][edge][1]  # its inputs are all nodes before it
        assert kept == 60 * 2 / node


def test_it_is_a_function_of_the_seed_and_its_rows_differ():
    space = NASBench201()
    assert design(space) == design(space)
    assert design(space) != design(space, seed=1)
    assert len(set(design(space, 150))) > 140


def test_operations_of_different_edges_are_not_tied_to_each_other():
    """The share of architectures with one operation on one edge and another on another is near that of chance."""
    tables = torch.stack([one.one_hot(NASBench201().operations)["cell"] for one in design(NASBench201(), 500)])
    together = torch.einsum("nab,ncd->abcd", tables, tables) / 500
    for one in range(6):
        for other in range(one):
            assert (together[one, :, other] - 1 / 25).abs().max() < 0.04


def test_ruled_out_operations_do_not_occur():
    space = NASBench201()
    allowed = space.allowed["cell"].clone()
    allowed[2, 1:] = False  # only `none` is left on 1->2
    smaller = space.restrict({"cell": allowed})
    assert {one["cell"][2] for one in design(smaller)} == {0}
    assert all(map(smaller.is_valid, design(smaller)))


@pytest.mark.parametrize("seed", range(6))
def test_a_few_exchanges_are_enough(seed, monkeypatch):
    monkeypatch.setattr("supernet.warm_start.design.ATTEMPTS", 2)  # for each architecture; one in fifty is not valid
    assert all(map(NASBench201().is_valid, design(NASBench201(), 150, seed)))
    monkeypatch.setattr("supernet.warm_start.design.ATTEMPTS", 5)
    allowed = torch.zeros(6, 5, dtype=torch.bool)
    allowed[:, :2] = True  # `none` or a skip: one in four is not valid
    sparse = NASBench201().restrict({"cell": allowed})
    assert all(map(sparse.is_valid, design(sparse, 60, seed)))


def test_where_no_valid_design_is_balanced_it_stays_balanced():
    """On a chain ``none`` cuts everything, and still it stands on every edge as often as the others."""
    space = NASBench201()
    allowed = space.allowed["cell"].clone()
    allowed[[1, 3, 4], 1:] = False  # only 0 -> 1 -> 2 -> 3 is left
    chain = space.restrict({"cell": allowed})
    found = design(chain, 25)
    assert not all(map(chain.is_valid, found))
    assert all(max(counts) - min(counts) <= 1 for *_, counts in occurrences(chain, found))


def test_from_a_pool_different_members_are_drawn():
    pool = NASBench201().sample(30, torch.Generator().manual_seed(5))
    space = NASBench201().restrict(pool=pool)
    assert set(design(space, 100)) == set(pool)
    some = design(space, 10)
    assert len(set(some)) == 10
    assert set(some) <= set(pool)
    assert all(isinstance(one, Architecture) for one in some)


def test_turns_are_equally_frequent_and_the_extra_ones_are_not_always_the_same():
    drawn = [turns(5, 13, torch.Generator().manual_seed(seed)).bincount(minlength=5) for seed in range(40)]
    assert all(sorted(counts.tolist()) == [2, 2, 3, 3, 3] for counts in drawn)
    assert (torch.stack(drawn).sum(dim=0) > 85).all()
