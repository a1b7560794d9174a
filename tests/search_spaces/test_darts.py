import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import published
from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import DARTS, EDGES, OPERATIONS
from search_spaces.errors import ArchitectureError
from search_spaces.layers import ScaledBatchNorm
from search_spaces.operations import FactorizedReduce, ReLUConvBN

SPACE = DARTS()
INDEX = {name: index for index, name in enumerate(OPERATIONS)}
NONE, MAX, SKIP, SEP3, DIL5 = (
    INDEX[name] for name in ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
)
PUBLISHED_V2 = """Genotype(
    normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
    normal_concat=[2, 3, 4, 5],
    reduce=[("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
            ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
    reduce_concat=range(2, 6))"""


def test_the_space_has_the_published_counts(generator):
    assert len(EDGES) == 14
    assert SPACE.size() == 1_037_664_180**2
    assert DARTS(none=False).size() == SPACE.size()
    assert all(SPACE.contains(a) and SPACE.is_valid(a) for a in SPACE.sample(50, generator))
    architecture = SPACE.sample(1, generator)[0]
    # 8 kept edges a cell with 6 other operations each, and moves of each kept edge to the 0, 1, 2, 3 free ones
    assert len(set(SPACE.neighbours(architecture))) == 2 * (8 * 6 + 2 * (0 + 1 + 2 + 3))


def test_edges_are_ordered_by_destination():
    assert EDGES[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert EDGES[-1] == (4, 5)


def test_the_prior_keeps_two_inputs_of_each_node():
    prior = SPACE.prior()["normal"]
    shares = [2 / node for _, node in EDGES]
    torch.testing.assert_close(prior.sum(dim=1), torch.tensor(shares))
    assert prior[:, NONE].sum() == 0
    torch.testing.assert_close(prior[5, 1:], torch.full((7,), 2 / 4 / 7))


@pytest.mark.parametrize(("layers", "where"), [(8, [2, 5]), (14, [4, 9]), (17, [5, 11]), (20, [6, 13]), (3, [1, 2])])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_reduction_cells_stand_at_one_and_two_thirds(layers, where, stem):
    space = DARTS(channels=4, layers=layers, stem=stem)
    with torch.device("meta"):
        cells = space.build(space.allowed, searching=True).cells
    assert len(cells) == layers
    assert [layer for layer, cell in enumerate(cells) if cell.cell_type == "reduce"] == where
    widths = [4 * 2 ** sum(layer >= position for position in where) for layer in range(layers)]
    assert [cell.channels[0] for cell in cells] == widths
    reduced = [layer - 1 in where or (layer == 0 and stem == "imagenet") for layer in range(layers)]
    for cell, halve in zip(cells, reduced, strict=True):
        first, second = (layer.operation for layer in cell.preprocess)
        assert type(first) is (FactorizedReduce if halve else ReLUConvBN)
        assert type(second) is ReLUConvBN


@pytest.mark.parametrize("searching", [True, False])
def test_batch_norms_learn_a_scale_in_found_networks_and_pools_are_normalised_in_supernets(searching):
    network = DARTS(channels=4, layers=3).build(SPACE.allowed, searching=searching)
    for cell in network.cells:
        norms = [module for module in cell.modules() if isinstance(module, ScaledBatchNorm)]
        assert {norm.affine for norm in norms} == {not searching}
        pools = [module for name, module in cell.operations.items() if "pool" in name]
        assert len(pools) == 2 * 5  # each kind leaves each node but the last once
        assert {pool.norm is not None for pool in pools} == {searching}


@pytest.mark.parametrize("size", [(32, 32), (17, 13)])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("partial", [1, 4])
def test_channels_classes_stems_and_image_sizes_are_arguments(stem, size, partial, generator):
    space = DARTS(channels=8, layers=4, stem=stem, in_channels=1, num_classes=7)
    x = torch.randn(2, 1, *size)
    assert space.supernet(partial)(x, space.prior()).shape == (2, 7)
    assert space.network(space.sample(1, generator)[0])(x).shape == (2, 7)
    assert DARTS(**space.arguments).arguments == space.arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"channels": 0}, {"layers": 2}, {"in_channels": 0}, {"num_classes": 1},
        {"stem": "resnet"}, {"threshold": 1.0}, {"threshold": -0.1}, {"max_skips": -1},
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DARTS(**arguments)


# Decoding


def table(strength, choice=SEP3, rest=0.01):
    """Weights whose edges are as strong as said, all by one operation."""
    weights = torch.full((14, 8), rest)
    weights[torch.arange(14), choice] = torch.tensor(strength)
    return weights


def rows(space, weights):
    return space.discretize({"normal": weights, "reduce": weights})["normal"]


def test_each_node_keeps_the_two_edges_with_the_strongest_operation():
    strength = [0.3, 0.2, 0.5, 0.1, 0.4, 0.2, 0.3, 0.1, 0.4, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert rows(SPACE, table(strength)) == (4, 4, 4, -1, 4, -1, 4, -1, 4, -1, -1, -1, 4, 4)


def test_none_is_never_chosen_and_does_not_count():
    weights = table([0.02] * 14)
    weights[3] = torch.tensor([0.93, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])  # mostly `none`
    weights[9] = torch.tensor([0.5, 0.3, 0.01, 0.01, 0.01, 0.01, 0.01, 0.15])
    found = rows(SPACE, weights)
    assert found[3] == DROPPED
    assert found[9] == MAX
    assert NONE not in found


def test_a_large_none_makes_its_edge_weak():
    """The share that `none` takes is missing from the others: relaxed alphas rank the edge lower."""
    alpha = torch.zeros(14, 8)
    alpha[:, SEP3] = 1
    alpha[2, NONE] = 5
    assert rows(SPACE, alpha.softmax(dim=1))[2] == DROPPED
    alpha[2, NONE] = 0
    alpha[2, SEP3] = 2
    assert rows(SPACE, alpha.softmax(dim=1))[2] == SEP3


def test_cells_are_decoded_by_their_own_weights():
    found = SPACE.discretize({"normal": table([0.5] * 14, SEP3), "reduce": table([0.5] * 14, MAX)})
    assert set(found["normal"]) == {SEP3, DROPPED}
    assert set(found["reduce"]) == {MAX, DROPPED}


def test_decoding_respects_a_restriction():
    allowed = {cell: names.clone() for cell, names in SPACE.allowed.items()}
    allowed["normal"][:, SEP3] = False
    allowed["normal"][4, 1:] = False  # an edge that has only `none` is never kept
    small = SPACE.restrict(allowed)
    strength = [0.9] * 14
    found = small.discretize({"normal": table(strength), "reduce": table(strength)})
    assert SEP3 not in found["normal"]
    assert found["normal"][2:5] == (MAX, MAX, DROPPED)
    assert small.contains(found)
    assert set(found["reduce"]) == {SEP3, DROPPED}


def test_edges_without_any_weight_are_kept_all_the_same():
    weights = torch.zeros(14, 8)
    weights[12, SEP3] = 1.0
    found = SPACE.discretize({"normal": weights, "reduce": weights})
    assert SPACE.contains(found)
    assert found["normal"][9:] == (MAX, DROPPED, DROPPED, SEP3, DROPPED)


def test_one_hot_weights_decode_to_their_architecture(generator):
    for space in (SPACE, DARTS(none=False), DARTS(threshold=0.5)):
        for architecture in space.sample(20, generator):
            assert space.discretize(architecture.one_hot(space.operations)) == architecture


def test_a_threshold_drops_weak_edges_but_for_the_best_of_a_node():
    strength = [0.9, 0.86, 0.9, 0.85, 0.2, 0.1, 0.2, 0.3, 0.4, 0.99, 0.98, 0.97, 0.1, 0.1]
    space = DARTS(threshold=0.85)
    found = space.discretize({"normal": table(strength), "reduce": table(strength)})
    assert found["normal"] == (4, 4, 4, -1, -1, -1, -1, -1, 4, 4, 4, -1, -1, -1)
    assert space.contains(found)
    assert not SPACE.contains(found)
    assert space.parse(space.format(found)) == found
    assert space.network(found)(torch.randn(2, 3, 16, 16)).shape == (2, 10)


def test_nodes_keep_one_or_two_inputs_with_a_threshold():
    space = DARTS(threshold=0.85)
    one_cell = 1
    for node in (2, 3, 4, 5):
        one_cell *= node * 7 + node * (node - 1) // 2 * 7**2
    assert space.size() == one_cell**2
    three = Architecture.of({"normal": [4, 4, 4, 4, 4, *[-1] * 9], "reduce": [4] * 14})
    assert not space.contains(three)


def test_the_weakest_skips_give_way_where_there_are_too_many():
    weights = table([0.3, 0.31, 0.32, 0.33, 0.1, 0.1, 0.1, 0.34, 0.35, 0.1, 0.1, 0.1, 0.36, 0.37], SKIP)
    weights[:, DIL5] = 0.2
    assert rows(SPACE, weights).count(SKIP) == 8
    found = rows(DARTS(max_skips=2), weights)
    assert found.count(SKIP) == 2
    # Without their skips edges have dil5 at 0.2, as the edges of weak skips do; the first two of a node are kept.
    assert found[12:] == (SKIP, SKIP)
    assert found[:4] == (DIL5, DIL5, DIL5, DIL5)
    reduce = DARTS(max_skips=2).discretize({"normal": weights, "reduce": weights})["reduce"]
    assert reduce.count(SKIP) == 8  # the rule is for the normal cell


def test_skips_stay_where_nothing_can_take_their_place():
    allowed = {cell: names.clone() for cell, names in SPACE.allowed.items()}
    allowed["normal"][:2] = False
    allowed["normal"][:2, SKIP] = True  # node 2 has skips only
    space = DARTS(max_skips=1).restrict(allowed)
    weights = table([0.5] * 14, SKIP)
    found = space.discretize({"normal": weights, "reduce": weights})
    assert SPACE.restrict(allowed).contains(found)
    assert found["normal"].count(SKIP) == 2


# Text

EXAMPLE = (
    "normal:|sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|+|skip_connect~0|sep_conv_3x3~1|"
    "+|skip_connect~0|dil_conv_3x3~2|;reduce:|max_pool_3x3~0|max_pool_3x3~1|+|max_pool_3x3~1|skip_connect~2|"
    "+|max_pool_3x3~0|skip_connect~2|+|max_pool_3x3~1|skip_connect~2|"
)


@given(st.integers(0, 10**6))
def test_parse_after_format_is_the_identity(seed):
    space = DARTS(none=bool(seed % 2))
    architecture = space.sample(1, torch.Generator().manual_seed(seed))[0]
    assert space.parse(space.format(architecture)) == architecture


def test_texts_with_and_without_none_are_the_same(generator):
    text = SPACE.format(SPACE.sample(1, generator)[0])
    other = DARTS(none=False)
    assert other.format(other.parse(text)) == text


def test_the_text_of_published_code_is_understood():
    expected = SPACE.parse(published.DARTS["darts_v2"])
    assert SPACE.parse(PUBLISHED_V2) == expected
    assert SPACE.parse("".join(PUBLISHED_V2.split())) == expected
    assert DARTS(none=False).parse(PUBLISHED_V2)["normal"] == tuple(c - (c > 0) for c in expected["normal"])
    assert SPACE.parse(EXAMPLE) == expected


BROKEN = PUBLISHED_V2.replace("('skip_connect', 0), ('dil_conv_3x3', 2)", "('skip_connect', 0), ('dil_conv_3x3', 5)")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "has not the cells"),
        (EXAMPLE.partition(";")[0], "has not the cells"),
        (EXAMPLE + ";" + EXAMPLE, "has not the cells"),
        ("normal:|x|;" + EXAMPLE, "has not the cells"),
        (EXAMPLE.replace("reduce:", "normal:"), "has not the cells"),
        (EXAMPLE.replace("+|max_pool_3x3~1|skip_connect~2|", "", 1), "reduce: .*3 nodes joined by '[+]', not 4"),
        (
            EXAMPLE.replace("max_pool_3x3~1|skip", "max_pol_3x3~1|skip", 1),
            "reduce: node 3, token 'max_pol_3x3~1'.*mean",
        ),
        (EXAMPLE.replace("dil_conv_3x3~2", "none~2"), "normal: node 5, token 'none~2': unknown operation"),
        (EXAMPLE.replace("dil_conv_3x3~2", "dil_conv_3x3~5"), "normal: node 5, token 'dil_conv_3x3~5': .*0 or 1"),
        (EXAMPLE.replace("|dil_conv_3x3~2", ""), "normal: node 5, .*1 inputs, not 2"),
        (EXAMPLE.replace("dil_conv_3x3~2", "dil_conv_3x3~0"), "normal: node 5, .*node 0 is named twice"),
        (BROKEN, "normal: node 5, token 'dil_conv_3x3~5'"),
        (PUBLISHED_V2.replace("('skip_connect', 0), ('dil", "('dil"), "normal: node 5, .*1 inputs, not 2"),
        (PUBLISHED_V2.replace("reduce=", "other="), "reduce: "),
        ("Genotype()", "normal: "),
    ],
)
def test_a_malformed_text_is_refused_where_it_breaks(text, where):
    with pytest.raises(ArchitectureError, match=where):
        SPACE.parse(text)


@given(st.text(alphabet="|~+;:0123 Genotype(normal=[reduce'sep_conv_3x3skip", max_size=150))
def test_any_text_parses_or_is_refused(text):
    for candidate in (text, f"normal:{text};reduce:{text}", f"Genotype(normal=[{text}],reduce=[{text}])"):
        try:
            architecture = SPACE.parse(candidate)
        except ArchitectureError:
            continue
        assert SPACE.parse(SPACE.format(architecture)) == architecture


# Equal functions


def cell_of(*nodes):
    """A row from ((operation, source), ...) for each node."""
    row = [DROPPED] * len(EDGES)
    for node, inputs in enumerate(nodes, start=2):
        for name, source in inputs:
            row[EDGES.index((source, node))] = INDEX[name]
    return row


SEP, DIL, SKIPS = "sep_conv_3x3", "dil_conv_3x3", "skip_connect"
BASE = (((SEP, 0), (SEP, 1)), ((SKIPS, 0), (SEP, 2)), ((DIL, 0), (SEP, 1)), ((SKIPS, 1), (SEP, 0)))


def text_of(normal, reduce=BASE):
    return SPACE.canonical(Architecture.of({"normal": cell_of(*normal), "reduce": cell_of(*reduce)}))


def test_the_order_of_independent_nodes_does_not_matter():
    swapped = (BASE[0], BASE[1], BASE[3], BASE[2])
    assert text_of(BASE) == text_of(swapped)
    moved = (BASE[2], BASE[0], ((SKIPS, 0), (SEP, 3)), BASE[3])  # what was node 2 is node 3
    assert text_of(BASE) == text_of(moved)
    assert len({text_of(BASE), text_of((BASE[0], BASE[1], BASE[2], ((SKIPS, 1), (DIL, 0))))}) == 2


def test_a_sum_is_the_same_through_an_identity():
    one = (((SEP, 0), (SKIPS, 1)), ((SKIPS, 0), (SKIPS, 2)), BASE[2], BASE[3])
    other = (((SKIPS, 0), (SKIPS, 1)), ((SEP, 0), (SKIPS, 2)), BASE[2], BASE[3])
    assert text_of(one) != text_of(other)  # node 2 differs
    assert "|(0)@sep_conv_3x3+0+1|" in text_of(one)
    assert "|(0)@sep_conv_3x3+0+1|" in text_of(other)


def test_a_strided_skip_is_no_identity():
    one = (((SKIPS, 0), (SKIPS, 1)), *BASE[1:])
    assert "(0)@skip_connect" not in text_of(one, BASE).partition(";")[0]
    assert "(0)@skip_connect" in text_of(BASE, one).partition(";")[2]
    inner = (BASE[0], ((SKIPS, 2), (SEP, 0)), BASE[2], BASE[3])  # a skip from node 2 has stride 1
    assert "skip" not in text_of(BASE, inner).partition(";")[2].partition("|")[0]


def test_cells_are_told_apart():
    assert text_of(BASE, (BASE[3], *BASE[1:])) != text_of((BASE[3], *BASE[1:]), BASE)


def test_equal_texts_are_rare_but_occur(generator):
    texts = [SPACE.canonical(architecture) for architecture in SPACE.sample(300, generator)]
    assert len(set(texts)) == 300
    permuted = [text_of((BASE[0], BASE[1], *order)) for order in itertools.permutations(BASE[2:])]
    assert len(set(permuted)) == 1


def test_a_limit_on_skips_is_part_of_the_space(generator):
    limited = DARTS(max_skips=1)
    drawn = SPACE.sample(200, generator)
    skip = SPACE.operations["normal"].index("skip_connect")
    for architecture in drawn:
        assert limited.contains(architecture) == (architecture["normal"].count(skip) <= 1)
    assert not all(limited.contains(architecture) for architecture in drawn)
