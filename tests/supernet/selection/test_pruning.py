import itertools

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import CELLS, DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import CELL, NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet.selection.pruning import contested, dense_ranks, prune, removal_order, without_none
from tests.supernet.selection.planted import worth

SPACE, TWO_CELLS = NASBench201(), DARTS()


def by_worth(tables, asked=None):
    """Removals that gain the more the less they take away, by two criteria that agree."""

    def gains(left, removal):
        cell, edge, operation = removal
        if asked is not None:
            asked.append(({name: table.clone() for name, table in left.items()}, removal))
        if operation is None:
            (operation,) = left[cell][edge].nonzero().flatten().tolist()
        return [-float(tables[cell][edge, operation])] * 2

    return gains


def test_ranks_begin_with_the_largest_and_equal_values_share_one():
    assert dense_ranks([0.3, 0.1, 0.1, 0.2, 0.3, -0.1]) == [0, 2, 2, 1, 0, 3]


def test_the_order_of_removals_is_as_worked_by_hand():
    """Ranks by the first criterion 0 2 2 1 0 3, by the second 3 0 1 0 0 2, sums 3 2 3 1 0 5.

    Of the two sums of 3 the first criterion prefers the first.
    """
    gains = [(0.3, 0.0), (0.1, 0.5), (0.1, 0.2), (0.2, 0.5), (0.3, 0.5), (-0.1, 0.1)]
    assert removal_order(gains) == [4, 3, 1, 0, 2, 5]
    assert removal_order([(0.1, 0.3), (0.3, 0.1)]) == [1, 0]


def test_one_round_is_as_worked_by_hand():
    """The gains of the test above, of three operations on edge 0 and three on edge 5: each edge loses its first."""
    allowed = {CELL: torch.zeros(6, 5, dtype=torch.bool)}
    allowed[CELL][1:5, 1] = True
    allowed[CELL][[0, 5], 1:4] = True
    hand = [(0.3, 0.0), (0.1, 0.5), (0.1, 0.2), (0.2, 0.5), (0.3, 0.5), (-0.1, 0.1)]
    table = dict(zip(itertools.product((0, 5), (1, 2, 3)), hand, strict=True))
    rounds = []

    def gains(left, removal):
        rounds.append(int(left[CELL].sum()))
        return table[removal[1], removal[2]]

    found = prune(SPACE.restrict(allowed), gains)
    assert rounds == [10] * 6 + [8] * 4
    # Second round, of 1 and 3 on edge 0 and of 1 and 3 on edge 5: ranks 0 2 1 3 and 3 1 0 2, sums 3 3 1 5.
    assert found[CELL] == (3, 1, 1, 1, 1, 3)


@pytest.mark.parametrize("number", [1, 2, 3, 9])
def test_on_nasbench201_each_edge_keeps_the_operation_that_is_missed_most(number):
    tables, asked = worth(SPACE), []
    found = prune(SPACE, by_worth(tables, asked), number)
    assert found[CELL] == tuple((tables[CELL][:, 1:].argmax(dim=1) + 1).tolist())
    sizes = [int(left[CELL].sum()) for left, _ in asked]
    assert list(dict.fromkeys(sizes)) == list(range(24, 6, -6 * min(number, 3)))[: -(-3 // number)]
    assert all(removal[2] != 0 for _, removal in asked)  # `none` went first


@pytest.mark.parametrize(("space", "number"), [(TWO_CELLS, 3), (TWO_CELLS, 2), (NASBench1Shot1(3), 1)])
def test_then_nodes_keep_the_inputs_that_are_missed_most(space, number):
    tables, asked = worth(space), []
    found = prune(space, by_worth(tables, asked), number)
    rows = {}
    for cell, edges in space.edges.items():
        best, choices = tables[cell].masked_fill(~space.candidates(cell), -1).max(dim=1)
        row = choices.tolist()
        for node, keep in space.inputs.get(cell, {}).items():
            entering = [edge for edge, (_, end) in enumerate(edges) if end == node]
            for edge in sorted(entering, key=lambda edge: -float(best[edge]))[keep:]:
                row[edge] = DROPPED
        rows[cell] = row
    assert found == Architecture.of(rows)
    assert space.contains(found)


def test_a_node_is_judged_by_what_is_left_after_the_nodes_before():
    asked = []
    prune(TWO_CELLS, by_worth(worth(TWO_CELLS), asked), 3)
    edges = [(int(sum(map(torch.sum, left.values()))), removal) for left, removal in asked if removal[2] is None]
    expected = []
    for size, (cell, node) in zip((28, 27, 25, 22, 21, 19), itertools.product(CELLS, (3, 4, 5)), strict=True):
        entering = [edge for edge, (_, end) in enumerate(TWO_CELLS.edges[cell]) if end == node]
        expected += [(size, (cell, edge, None)) for edge in entering]
    assert edges == expected


def test_an_edge_that_has_nothing_but_none_keeps_it_and_unchosen_operations_go():
    allowed = {CELL: SPACE.allowed[CELL].clone()}
    allowed[CELL][2, 1:] = False
    left = without_none(SPACE.restrict(allowed))
    assert left[CELL][2].tolist() == [True] + [False] * 4
    assert left[CELL][0].tolist() == [False] + [True] * 4
    assert not any(table[:, 0].any() for table in without_none(TWO_CELLS).values())
    assert (CELL, 2, 0) not in contested(left)


def test_noise_never_cuts_a_cell_off():
    space = RobustDARTS("s4")
    noise = space.operations["normal"].index("noise")
    tables = {cell: torch.zeros(table.shape) for cell, table in space.allowed.items()}
    for table in tables.values():
        table[:, noise] = 1
    found = prune(space, by_worth(tables))
    assert space.is_valid(found)
    assert space.contains(found)


@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_the_pool_of_a_space_is_never_left(space, generator):
    pool = [one for one in space.sample(6, generator) if space.is_valid(one)]
    smaller = space.restrict(pool=pool)
    for seed in range(2):
        assert prune(smaller, by_worth(worth(smaller, seed)), 3) in pool
