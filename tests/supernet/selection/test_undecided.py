import pytest

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import CELL, NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet.selection.undecided import UNDECIDED, inputs, nothing_decided, possible

SPACE, TWO_CELLS = NASBench201(), DARTS()
U, D = UNDECIDED, DROPPED


def test_at_the_start_only_edges_without_a_choice_are_decided():
    allowed = {cell: table.clone() for cell, table in TWO_CELLS.allowed.items()}
    allowed["normal"][0] = False
    allowed["normal"][0, [0, 3]] = True  # `none` and one candidate
    allowed["normal"][1] = False
    allowed["normal"][9, 1:] = False  # nothing but `none`
    allowed["normal"][1, 4] = True
    partial = nothing_decided(TWO_CELLS.restrict(allowed))
    assert partial == Architecture.of({"normal": [3, 4, *[U] * 7, D, *[U] * 4], "reduce": [U] * 14})
    assert inputs(TWO_CELLS, partial, "normal", 5) == [10, 11, 12, 13]


# 0-1 0-2 1-2 0-3 1-3 2-3
@pytest.mark.parametrize(("row", "expected"), [
    ([U, U, U, U, U, U], True), ([0, 0, U, 0, U, U], False), ([0, U, U, 0, U, U], True), ([U, 0, 0, 0, 0, U], False),
    ([U, 0, U, 0, 0, U], True), ([3, 0, 0, 0, U, 3], True), ([0, 0, 0, 0, 0, 0], False), ([0, 0, 0, 1, 0, 0], True),
])  # fmt: skip
def test_possible_is_what_enumeration_finds(row, expected):
    partial = Architecture.of({CELL: row})
    fitting = (
        architecture
        for architecture in SPACE.enumerate()
        if all(mine in (U, its) for mine, its in zip(row, architecture[CELL], strict=True))
    )
    assert any(map(SPACE.is_valid, fitting)) == expected
    assert possible(SPACE, partial) == expected


def test_nodes_whose_inputs_are_open_count_with_all_of_them():
    space = RobustDARTS("s4")
    assert possible(space, Architecture.of({"normal": [0] * 13 + [U], "reduce": [1] * 14})) is False  # from node 4
    assert possible(space, Architecture.of({"normal": [0] * 9 + [U] + [0] * 4, "reduce": [1] * 14})) is True


def test_of_a_pool_a_member_must_be_left():
    member = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|")
    space = SPACE.restrict(pool=[member])
    assert possible(space, Architecture.of({CELL: [3, U, U, U, U, 2]}))
    assert not possible(space, Architecture.of({CELL: [2, U, U, U, U, U]}))


def test_what_a_member_of_the_pool_drops_may_still_be_dropped_and_nothing_comes_back(generator):
    member = TWO_CELLS.sample(1, generator)[0]
    space = TWO_CELLS.restrict(pool=[member])
    row = member["normal"]
    dropped, kept = row.index(D), next(edge for edge, choice in enumerate(row) if choice != D)
    assert possible(space, member.replace("normal", dropped, 4))
    assert not possible(space, member.replace("normal", kept, D))
