import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201, benchmark_order
from search_spaces.network import multiply_adds, parameters

SPACE = NASBench201()
ARCHITECTURES = st.tuples(*[st.integers(0, 4)] * 6).map(lambda row: Architecture.of({"cell": row}))
TABLE = {
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    9: "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    123: "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    1462: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    1651: "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    13714: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
}


def test_the_space_has_the_published_counts():
    everything = list(SPACE.enumerate())
    assert len(everything) == SPACE.size() == len(set(everything)) == 15_625
    assert len({SPACE.published_class(a) for a in everything}) == 6_466
    assert len({SPACE.canonical(a) for a in everything}) == 4_930
    assert sum(not SPACE.is_valid(a) for a in everything) == 341
    assert sum(SPACE.has_no_dangling_operation(a) for a in everything) == 9_445


def test_the_benchmark_index_is_the_published_shuffle():
    assert {index: SPACE.format(benchmark_order()[index]) for index in TABLE} == TABLE


@pytest.mark.parametrize(("index", "count"), [(1462, 1_531_546), (13714, 1_073_466), (1651, 73_306)])
def test_parameter_counts_are_the_published_ones(index, count):
    assert parameters(SPACE.network(benchmark_order()[index])) == count


def test_multiply_adds_are_the_published_ones():
    assert multiply_adds(SPACE.network(benchmark_order()[13714]), (3, 32, 32)) == pytest.approx(153.27e6, rel=1e-4)


@given(ARCHITECTURES)
def test_parse_after_format_is_the_identity(architecture):
    assert SPACE.parse(SPACE.format(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "1 nodes joined by"),
        (TABLE[9] + "+|none~0|", "4 nodes"),
        (TABLE[9].replace("nor_conv_3x3~2", "nor_conv_5x5~2"), r"node 3, token 'nor_conv_5x5~2'.*nor_conv_3x3"),
        (TABLE[9].replace("none~1|+", "none~0|+"), r"node 2, token 'none~0': node 0 is named twice"),
        (TABLE[9].replace("avg_pool_3x3~0", "avg_pool_3x3"), r"node 1, token 'avg_pool_3x3'"),
        (TABLE[9].replace("|none~0|none~1|", "|none~0|"), "node 2, .*1 inputs, not 2"),
        (TABLE[9][1:], "node 1, .*begins and ends"),
        ("__import__('os').system('true')", "1 nodes joined by"),
    ],
)
def test_a_malformed_text_is_refused_where_it_breaks(text, where):
    with pytest.raises(ArchitectureError, match=where):
        SPACE.parse(text)


@given(st.text(alphabet="|~+0123 nor_conv_3x3skip_connect", max_size=120))
def test_any_text_parses_or_is_refused(text):
    try:
        architecture = SPACE.parse(text)
    except ArchitectureError:
        return
    assert SPACE.parse(SPACE.format(architecture)) == architecture


def test_discretization_takes_the_strongest_allowed_operation_and_none_may_win():
    weights = torch.full((6, 5), 0.1)
    for edge, choice in enumerate((0, 1, 2, 3, 4, 0)):
        weights[edge, choice] = 0.6
    assert SPACE.discretize({"cell": weights})["cell"] == (0, 1, 2, 3, 4, 0)
    table = SPACE.allowed["cell"].clone()
    table[0, 0] = False
    weights[0, 2] = 0.3
    assert SPACE.restrict({"cell": table}).discretize({"cell": weights})["cell"][0] == 2


def test_neighbours_are_the_24_single_edits():
    architecture = benchmark_order()[13714]
    near = SPACE.neighbours(architecture)
    assert len(set(near)) == 24
    assert all(neighbour.distance(architecture) == 1 for neighbour in near)


@given(ARCHITECTURES)
def test_equivalent_architectures_compute_the_same_function_with_the_same_weights(architecture):
    """Replacing an operation whose input is zero, or whose output nobody uses, must not change the canonical text."""
    reached = {0}
    for (source, node), choice in zip(EDGES, architecture["cell"], strict=True):
        if source in reached and choice != 0:
            reached.add(node)
    for edge, (source, _) in enumerate(EDGES):
        if source not in reached:
            for choice in range(len(OPERATIONS)):
                changed = architecture.replace("cell", edge, choice)
                assert SPACE.canonical(changed) == SPACE.canonical(architecture)


@pytest.mark.parametrize("arguments", [{"channels": 0}, {"cells_per_stage": 0}, {"in_channels": 0}, {"num_classes": 1}])
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        NASBench201(**arguments)


def test_channels_classes_and_odd_image_sizes_are_arguments():
    space = NASBench201(channels=4, cells_per_stage=1, in_channels=1, num_classes=7)
    assert space.supernet()(torch.randn(2, 1, 9, 13), space.prior()).shape == (2, 7)
    assert NASBench201(**space.arguments).arguments == space.arguments
