import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from search_spaces.architecture import DROPPED
from search_spaces.errors import ArchitectureError
from search_spaces.nasbench1shot1 import BLOCK, NASBench1Shot1
from tests.search_spaces.plain import NAMES, plain_operation

SPACES = {variant: NASBench1Shot1(variant) for variant in (1, 2, 3)}
EXAMPLE = "|maxpool3x3~0|conv3x3-bn-relu~0~1|conv1x1-bn-relu~0~2|conv3x3-bn-relu~1~3|output~2~4|"


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def graphs(space):
    """All choices of parents, for each vertex but the first."""
    vertices = enumerate(space.parents, start=1)
    return itertools.product(*(itertools.combinations(range(vertex), count) for vertex, count in vertices))


@pytest.mark.parametrize(("variant", "size", "published"), [(1, 14_580, 6_240), (3, 1_312_200, 363_648)])
def test_sizes_explain_the_published_ones(variant, size, published):
    """There a block whose output nobody reads has no choice of operation."""
    space = SPACES[variant]
    assert space.size() == size
    everything = [{parent for parents in graph for parent in parents} - {0} for graph in graphs(space)]
    assert sum(3 ** (len(space.parents) - 1) for _ in everything) == size
    assert sum(3 ** len(read) for read in everything) == published


def test_the_second_space_has_the_published_size():
    assert SPACES[2].size() == 29_160
    everything = list(SPACES[2].enumerate())
    assert len(set(everything)) == 29_160


def test_numbers_of_parents_are_the_published_ones_and_nine_at_most(space, generator):
    assert {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}[space.variant] == space.parents
    for architecture in space.sample(20, generator):
        assert space.contains(architecture)
        vertices = space.vertices(architecture)
        assert tuple(len(parents) for _, parents in vertices) == space.parents
        assert sum(space.parents) == 9
        assert vertices[-1][0] == "output"
        assert {name for name, _ in vertices[:-1]} <= set(BLOCK)


class PlainCell(nn.Module):
    """The published cell, choice block by choice block, but for its sum at the end."""

    def __init__(self, space, cell, form):
        super().__init__()
        before, width = cell.channels[:2]
        blocks = len(space.parents) - 1
        self.projections = nn.ModuleList(
            plain_operation("conv1x1-bn-relu", before, 1, form, width) for _ in range(blocks + 1)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(plain_operation(n, width, 1, form) for n in BLOCK) for _ in range(blocks)
        )
        state = cell.state_dict()
        for copy, projection in enumerate(self.projections):
            self._load(projection, "0_conv1x1-bn-relu", state, copy, blocks + 1)
        for block, operations in enumerate(self.blocks):
            for name, operation in zip(BLOCK, operations, strict=True):
                self._load(operation, f"{2 * block + 1}_{name}", state, 0, 1)

    @staticmethod
    def _load(operation, key, state, copy, copies):
        for plain_name, tensor in [*operation.named_parameters(), *operation.named_buffers()]:
            position, _, kind = plain_name.rpartition(".")
            found = state[f"operations.{key}.{NAMES['conv1x1-bn-relu'][position]}.{kind}"]
            tensor.data.copy_(found.unflatten(0, (copies, -1))[copy] if tensor.dim() else found)

    def forward(self, x, betas, alphas):
        """``betas``: the weights of each block's and the output's inputs; ``alphas``: of each block's operations."""
        states = []
        for projection, block, beta, alpha in zip(self.projections[:-1], self.blocks, betas[:-1], alphas, strict=True):
            entering = sum(b * y for b, y in zip(beta, [projection(x), *states], strict=True))
            states.append(sum(a * operation(entering) for a, operation in zip(alpha, block, strict=True)))
        return sum(b * y for b, y in zip(betas[-1], [self.projections[-1](x), *states], strict=True))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("searching", [True, False])
def test_a_cell_equals_the_published_one_with_a_sum_at_the_end(space, training, searching):
    small = NASBench1Shot1(space.variant, channels=4, layers=3)
    network = small.build(small.allowed, searching=searching).double().train(training)
    cell = network.cells[1]  # it doubles the channels
    form = type("Form", (), {"affine": not searching, "pool_norm": False})
    plain = PlainCell(small, cell, form).double().train(training)
    blocks = len(small.parents) - 1
    betas = [torch.randn(vertex, dtype=torch.float64).softmax(0).requires_grad_() for vertex in range(1, blocks + 2)]
    alphas = torch.randn(blocks, 3, dtype=torch.float64).softmax(dim=1).requires_grad_()
    edges, table = [], []
    for vertex in range(1, blocks + 2):
        for parent in range(vertex):
            edges.append(betas[vertex - 1][parent])
            table.append(torch.eye(4, dtype=torch.float64)[1 if parent == 0 else 3])
        if vertex <= blocks:
            edges.append(torch.ones((), dtype=torch.float64))
            table.append(torch.cat([alphas[vertex - 1], torch.zeros(1, dtype=torch.float64)]))
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64).requires_grad_()
    out = cell([x], network.wirings["cell"].split(torch.stack(table), torch.stack(edges)))
    expected = plain(x, betas, alphas)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    sources = [x, alphas, *betas]
    ours, theirs = (torch.autograd.grad(y.square().sum(), sources) for y in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("running", ["all", "only"])
def test_a_one_hot_supernet_equals_the_network_of_the_architecture_with_inherited_weights(space, running, generator):
    small = NASBench1Shot1(space.variant, channels=4, layers=3)
    supernet = small.supernet().double()
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    for architecture in small.sample(3, generator):
        network = small.build(architecture.allowed(small.operations), searching=True).double()
        network.inherit(supernet)
        one_hot = architecture.one_hot(small.operations, torch.float64)
        only = dict(architecture.choices) if running == "only" else None
        torch.testing.assert_close(supernet.eval()(x, one_hot, only=only), network.eval()(x), rtol=1e-12, atol=1e-12)


def test_the_image_is_halved_and_the_channels_are_doubled_twice():
    network = SPACES[1].supernet()
    assert [cell.channels[1] for cell in network.cells] == [16] * 3 + [32] * 3 + [64] * 3
    assert [index for index, layer in enumerate(network.trunk) if isinstance(layer, nn.MaxPool2d)] == [3, 7]
    x = torch.randn(2, 3, 9, 13)
    assert network(x, SPACES[1].prior()).shape == (2, 10)


def test_the_strongest_inputs_of_a_vertex_are_kept():
    """The weights of edges count, also where an edge has no choice of operation."""
    space = SPACES[1]
    strength = torch.tensor(
        [1.0, 1.0, 0.4, 0.6, 1.0, 0.2, 0.5, 0.3, 1.0, 0.4, 0.1, 0.2, 0.3, 1.0, 0.1, 0.3, 0.1, 0.1, 0.4]
    )
    assert len(strength) == len(space.edges["cell"])
    mixing = torch.tensor([0.2, 0.3, 0.5, 1.0]) * space.allowed["cell"]
    mixing = mixing / mixing.sum(dim=1, keepdim=True)
    found = space.discretize({"cell": mixing * strength[:, None]})
    assert space.contains(found)
    vertices = [("conv3x3-bn-relu", [0]), ("conv3x3-bn-relu", [0, 1]), ("conv3x3-bn-relu", [1, 2])]
    assert space.vertices(found) == [*vertices, ("conv3x3-bn-relu", [0, 3]), ("output", [1, 4])]


def test_edges_are_weighed_and_have_one_operation_but_for_those_inside_blocks(space):
    assert space.edge_weights
    for (source, _), row in zip(space.edges["cell"], space.allowed["cell"], strict=True):
        assert int(row.sum()) == (3 if source % 2 else 1)


def test_the_text_names_operations_and_parents():
    space = SPACES[1]
    architecture = space.parse(EXAMPLE)
    assert space.format(architecture) == EXAMPLE
    assert space.vertices(architecture)[3] == ("conv3x3-bn-relu", [1, 3])
    assert architecture["cell"].count(DROPPED) == 1 + 2 + 3  # of 3, 4 and 5 possible parents two are kept


@given(st.sampled_from([1, 2, 3]), st.integers(0, 10**6))
def test_parse_after_format_is_the_identity(variant, seed):
    space = SPACES[variant]
    architecture = space.sample(1, torch.Generator().manual_seed(seed))[0]
    assert space.parse(space.format(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "1 vertices divided by '[|]', not 5"),
        (EXAMPLE.replace("|output~2~4", ""), "4 vertices"),
        (EXAMPLE.replace("maxpool", "minpool"), "vertex 1, 'minpool3x3~0': it begins with maxpool3x3 or"),
        (EXAMPLE.replace("output", "maxpool3x3"), "vertex 5, .*begins with output"),
        (EXAMPLE.replace("~1~3", "~1"), "vertex 4, .*2 different parents among 0 to 3"),
        (EXAMPLE.replace("~1~3", "~1~1~3"), "vertex 4, .*2 different parents"),
        (EXAMPLE.replace("~1~3", "~1~4"), "vertex 4, .*2 different parents among 0 to 3"),
        (EXAMPLE.replace("~1~3", "~1~x"), "vertex 4, .*2 different parents among 0 to 3"),
    ],
)
def test_a_malformed_text_is_refused_where_it_breaks(text, where):
    with pytest.raises(ArchitectureError, match=where):
        SPACES[1].parse(text)


@given(st.text(alphabet="|~01234 maxpool3x3conv1x1-bn-reluoutput", max_size=120))
def test_any_text_parses_or_is_refused(text):
    try:
        architecture = SPACES[1].parse(text)
    except ArchitectureError:
        return
    assert SPACES[1].parse(SPACES[1].format(architecture)) == architecture


def test_equal_functions_have_equal_texts():
    space = SPACES[2]
    loose = "|maxpool3x3~0|{}~1|conv1x1-bn-relu~0~1|conv3x3-bn-relu~1~3|output~1~3~4|"
    texts = {space.canonical(space.parse(loose.format(name))) for name in BLOCK}
    assert len(texts) == 1  # nothing reads vertex 2
    assert len({space.canonical(space.parse(loose.replace("~1~3~4", "~1~2~4").format(n))) for n in BLOCK}) == 3
    one = "|maxpool3x3~0|conv3x3-bn-relu~0|conv1x1-bn-relu~1~2|conv1x1-bn-relu~0~3|output~0~1~4|"
    other = "|conv3x3-bn-relu~0|maxpool3x3~0|conv1x1-bn-relu~1~2|conv1x1-bn-relu~0~3|output~0~2~4|"
    assert space.canonical(space.parse(one)) == space.canonical(space.parse(other))
    assert space.is_valid(space.parse(one))


@pytest.mark.parametrize("arguments", [{"channels": 0}, {"layers": 2}, {"in_channels": 0}, {"num_classes": 1}])
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        NASBench1Shot1(1, **arguments)


def test_there_are_three_spaces(space):
    assert space.name == f"nasbench1shot1_{space.variant}"
    assert NASBench1Shot1(**space.arguments).arguments == space.arguments
    with pytest.raises(ValueError, match="variant is 4"):
        NASBench1Shot1(4)
