import math

import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet.warm_start.pruning import Pruning

SPACE = NASBench201()
SPACES = [
    SPACE, DARTS(), RobustDARTS("s1"), RobustDARTS("s3"), RobustDARTS("s4"), NASBenchMacro(), NASBench1Shot1(2),
]  # fmt: skip


def random(space, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        cell: torch.randn(table.shape, generator=generator).masked_fill(~space.candidates(cell), torch.nan)
        for cell, table in space.allowed.items()
    }


def gone(space, left, cell="cell"):
    return [(e, o) for e, o in (space.allowed[cell] & ~left.allowed[cell]).nonzero().tolist()]


def test_the_lowest_pairs_go_and_no_others():
    scores = torch.arange(30.0).reshape(6, 5).flip(0)  # the last edge is the worst
    left = Pruning(drop=1 / 3, min_ops=2)(SPACE, {"cell": scores})
    # 10 of 30: three of the last edge, which then has two, three of the one before, ...
    assert gone(SPACE, left) == [(2, 0), *((e, o) for e in (3, 4, 5) for o in (0, 1, 2))]


def test_a_third_of_thirty_is_ten():
    for drop, expected in ((1 / 3, 10), (0.3333333333333333, 10), (0.2, 6), (0.5, 15), (0.0, 0), (0.33, 9)):
        assert len(gone(SPACE, Pruning(drop, min_ops=1)(SPACE, random(SPACE)))) == expected


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("min_ops", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_edge_loses_its_choice_and_no_node_its_input(space, min_ops, seed):
    left = Pruning(0.5, min_ops)(space, random(space, seed))
    for cell in space.edges:
        before, after = space.candidates(cell), left.candidates(cell)
        assert (after.sum(dim=1) >= before.sum(dim=1).clamp_max(min_ops)).all()
        cutting = torch.tensor([name in ("none", "noise") for name in space.operations[cell]])
        assert ((after & ~cutting).any(dim=1) == (before & ~cutting).any(dim=1)).all()
    drawn = left.sample(200, torch.Generator().manual_seed(0))
    assert any(map(left.is_valid, drawn))


def test_an_edge_never_keeps_none_alone():
    scores = torch.zeros(6, 5)
    scores[:, 0] = 1.0  # `none` is the best, everywhere
    left = Pruning(0.5, min_ops=1)(SPACE, {"cell": scores})
    assert left.allowed["cell"][:, 1:].any(dim=1).all()


def test_cell_types_are_separate_tables():
    space = DARTS()
    scores = random(space)
    scores["reduce"] = scores["reduce"] - 100  # all worse than any operation of the normal cell
    left = Pruning(1 / 3, 1)(space, scores)
    assert {cell: len(gone(space, left, cell)) for cell in space.edges} == {"normal": 32, "reduce": 32}  # of 98 each


def test_what_is_not_scored_stays_unless_it_is_told_to_go():
    space = DARTS()
    left = Pruning(0.5)(space, random(space))
    assert left.allowed["normal"][:, 0].all()
    assert not Pruning(0.5, drop_unchosen=True)(space, random(space)).allowed["normal"][:, 0].any()
    scores = random(SPACE)
    scores["cell"][:, 3] = scores["cell"][0] = math.nan
    left = Pruning(0.5, min_ops=1)(SPACE, scores)
    assert left.allowed["cell"][:, 3].all()
    assert left.allowed["cell"][0].all()
    assert len(gone(SPACE, left)) == 10  # of the 20 that are scored


def test_edges_without_a_choice_do_not_count():
    allowed = SPACE.allowed["cell"].clone()
    allowed[:3, :4] = False  # 15 pairs of edges with a choice are left
    smaller = SPACE.restrict({"cell": allowed})
    left = Pruning(0.5, min_ops=1)(smaller, random(smaller))
    assert len(gone(smaller, left)) == 7
    assert left.allowed["cell"][:3].equal(allowed[:3])


@pytest.mark.parametrize("space", [SPACE, DARTS()], ids=lambda space: space.name)
def test_at_least_half_of_a_pool_stays(space):
    drawn = list(filter(space.is_valid, space.sample(60, torch.Generator().manual_seed(0))))
    pooled = space.restrict(pool=drawn)
    scores = random(space)
    left = Pruning(1 / 3)(pooled, scores)
    assert len(drawn) / 2 <= len(left.pool) < len(drawn)
    # The worst that may go without them is gone, of each cell type.
    for cell, table in scores.items():
        assert gone(space, left, cell)
        worst = min(map(float, table[~table.isnan()]))
        assert not left.allowed[cell][table == worst].any()


def test_without_a_pool_the_cell_types_are_walked_as_if_each_were_alone():
    space = DARTS()
    scores = random(space)
    both = Pruning(1 / 3)(space, scores)
    for cell, table in scores.items():
        alone = Pruning(1 / 3)(space, {cell: table})
        assert both.allowed[cell].equal(alone.allowed[cell])


def test_protected_operations_stay_and_others_go_in_their_place():
    scores = torch.zeros(6, 5)
    scores[:, 1] = -1.0
    left = Pruning(0.2, protected=("skip_connect",))(SPACE, {"cell": scores})
    assert left.allowed["cell"][:, 1].all()
    assert len(gone(SPACE, left)) == 6
    with pytest.raises(ValueError, match="no operation skip; there are none, skip_connect"):
        Pruning(protected=("skip",))(SPACE, {"cell": scores})


def test_what_was_ruled_out_before_does_not_come_back():
    allowed = SPACE.allowed["cell"].clone()
    allowed[0, :3] = False
    smaller = SPACE.restrict({"cell": allowed})
    left = Pruning(0.5, min_ops=2)(smaller, random(smaller))
    assert left.allowed["cell"][0].tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    "arguments", [{"drop": 0.51}, {"drop": -0.1}, {"drop": "abc"}, {"min_ops": 0}, {"min_ops": 1.5}]
)
def test_settings_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Pruning(**arguments)
