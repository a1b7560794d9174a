import pytest

from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.published import DARTS as PUBLISHED
from search_spaces.robust_darts import RobustDARTS
from supernet.census import choices, count, is_convolution, is_skip


def test_cells_are_counted_apart():
    second = DARTS().parse(PUBLISHED["darts_v2"])
    assert count(DARTS(), second, is_convolution) == {"normal": 6, "reduce": 0}
    assert count(DARTS(), second, is_skip) == {"normal": 2, "reduce": 3}


def test_a_space_with_one_cell_type_has_one_number():
    space = NASBench201()
    text = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
    assert count(space, space.parse(text), is_convolution) == {"cell": 2}
    assert count(space, space.parse(text), is_skip) == {"cell": 2}


def test_blocks_of_convolutions_and_skips_of_other_names_count(generator):
    space = NASBenchMacro()
    for architecture in space.sample(5, generator):
        found = [space.operations[c][choice] for c, row in architecture.choices for choice in row]
        skips, blocks = (sum(count(space, architecture, kind).values()) for kind in (is_skip, is_convolution))
        assert skips == found.count("identity")
        assert skips + blocks == len(found)


def test_an_operation_that_is_a_part_of_the_wiring_is_no_choice(generator):
    space = NASBench1Shot1(variant=1)
    assert not any(row for rows in choices(space, is_skip).values() for row in rows)
    blocks = count(space, space.sample(1, generator)[0], is_convolution)
    assert 0 <= sum(blocks.values()) <= 4


def test_an_operation_that_was_pruned_away_was_a_choice_all_the_same():
    space = NASBench201()
    skips = {"cell": space.allowed["cell"].new_zeros(6, 5)}
    skips["cell"][:, 1] = True
    narrowed = space.restrict(skips)
    assert choices(narrowed, is_skip) == choices(space, is_skip)
    assert count(narrowed, Architecture.of({"cell": [1] * 6}), is_skip) == {"cell": 6}


@pytest.mark.parametrize("variant", ["s2", "s3"])
def test_spaces_with_few_candidates_have_one_convolution_an_edge(variant):
    space = RobustDARTS(variant)
    assert all(len(row) == 1 for rows in choices(space, is_convolution).values() for row in rows)
