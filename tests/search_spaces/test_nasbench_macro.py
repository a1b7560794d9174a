import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.nasbench_macro import OPERATIONS, NASBenchMacro
from search_spaces.network import multiply_adds, parameters
from search_spaces.operations import Form
from tests.search_spaces.plain import NAMES, plain_operation

SPACE = NASBenchMacro()
BEST = "22212220"
WIDTHS, STRIDES = (4, 8, 8, 16, 16, 16, 32, 32, 32), (2, 1, 2, 1, 1, 2, 1, 1)
TEXTS = st.text(alphabet="012", min_size=8, max_size=8)


def test_the_space_has_the_published_counts():
    everything = list(SPACE.enumerate())
    assert len(everything) == SPACE.size() == len(set(everything)) == 6_561
    # In a stage the identities after the first layer can be anywhere: 3 x 3 functions of two layers, 3 x 7 of three.
    assert len({SPACE.canonical(a) for a in everything}) == 9 * 21 * 21
    assert all(SPACE.is_valid(a) for a in everything[:50])


def test_the_best_network_has_the_published_size():
    network = SPACE.network(SPACE.parse(BEST))
    assert round(parameters(network) / 1e6, 3) == 1.986
    assert round(multiply_adds(network, (3, 32, 32)) / 1e6, 2) == 85.16


def test_identities_inside_a_stage_move_to_its_end():
    canonical = {text: SPACE.canonical(SPACE.parse(text)) for text in ("22212202", "00201020", "01201001", BEST)}
    assert canonical == {"22212202": BEST, "00201020": "00210020", "01201001": "01210010", BEST: BEST}


@given(TEXTS)
def test_parse_after_format_is_the_identity_and_the_canonical_text_is_canonical(text):
    architecture = SPACE.parse(text)
    assert SPACE.format(architecture) == text
    canonical = SPACE.canonical(architecture)
    assert SPACE.canonical(SPACE.parse(canonical)) == canonical
    assert sorted(canonical) == sorted(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "0 layers, not 8"),
        ("222122201", "9 layers, not 8"),
        ("2221322x", "layer 5 of '2221322x': '3' is not 0 for identity, 1 for mb_k3_e3, 2 for mb_k5_e6"),
        ("2221222²", "layer 8"),
    ],
)
def test_a_malformed_text_is_refused_where_it_breaks(text, where):
    with pytest.raises(ArchitectureError, match=where):
        SPACE.parse(text)


class PlainLayers(nn.Module):
    """Every layer computes every block and adds the weighted results, as a chain of modules."""

    def __init__(self, network, form):
        super().__init__()
        self.stem, self.head = network.stem, network.head
        (cell,) = network.trunk
        self.layers = nn.ModuleList()
        for layer, stride in enumerate(STRIDES):
            blocks = [plain_operation(name, WIDTHS[layer], stride, form, WIDTHS[layer + 1]) for name in OPERATIONS]
            for name, block in zip(OPERATIONS, blocks, strict=True):
                batched = cell.operations[f"{layer}_{name}"].state_dict()
                names = NAMES[name.partition("_")[0]]
                for plain_name, tensor in [*block.named_parameters(), *block.named_buffers()]:
                    position, _, kind = plain_name.rpartition(".")
                    tensor.data.copy_(batched[f"{names[position]}.{kind}"])
            self.layers.append(nn.ModuleList(blocks))

    def forward(self, x, weights):
        x = self.stem(x)
        for blocks, row in zip(self.layers, weights, strict=True):
            x = sum(weight * block(x) for weight, block in zip(row, blocks, strict=True))
        return self.head(x)


@pytest.mark.parametrize("searching", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_equals_the_plain_one(searching, training):
    space = NASBenchMacro(channels=4)
    network = space.build(space.allowed, searching=searching).double().train(training)
    plain = PlainLayers(network, Form(affine=not searching)).double().train(training)
    x = torch.randn(3, 3, 9, 8, dtype=torch.float64)
    weights = torch.rand(8, 3, dtype=torch.float64).requires_grad_()
    statistics = {name: tensor.clone() for name, tensor in network.stem.state_dict().items()}
    out = network(x, {"layers": weights})
    network.stem.load_state_dict(statistics)  # which both share
    expected = plain(x, weights)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(y.square().sum(), weights)[0] for y in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_a_one_hot_supernet_equals_the_network_of_the_architecture_with_inherited_weights(generator):
    space = NASBenchMacro(channels=4)
    supernet = space.supernet().double()
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    for architecture in space.sample(4, generator):
        network = space.build(architecture.allowed(space.operations), searching=True).double()
        network.inherit(supernet)
        one_hot = architecture.one_hot(space.operations, torch.float64)
        only = dict(architecture.choices)
        expected = network.eval()(x)
        torch.testing.assert_close(supernet.eval()(x, one_hot), expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(supernet(x, one_hot, only=only), expected, rtol=1e-12, atol=1e-12)


def test_equal_canonical_texts_are_equal_functions():
    space = NASBenchMacro(channels=4)
    one, other = (space.network(space.parse(text)).double().eval() for text in ("22212220", "22212202"))
    names = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    for mine, theirs in names:
        theirs.copy_(mine)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(one(x), other(x), rtol=1e-12, atol=1e-12)


def test_discretization_takes_the_strongest_allowed_block():
    weights = torch.tensor([[0.2, 0.5, 0.3]]).repeat(8, 1)
    assert SPACE.discretize({"layers": weights})["layers"] == (1,) * 8
    table = SPACE.allowed["layers"].clone()
    table[3, 1] = False
    assert SPACE.restrict({"layers": table}).discretize({"layers": weights})["layers"][3] == 2


def test_arguments_are_checked_and_rebuild_the_space():
    space = NASBenchMacro(channels=8, in_channels=1, num_classes=7)
    assert NASBenchMacro(**space.arguments).arguments == space.arguments
    assert space.supernet()(torch.randn(2, 1, 7, 9), space.prior()).shape == (2, 7)
    for arguments in ({"channels": 0}, {"in_channels": 0}, {"num_classes": 1}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            NASBenchMacro(**arguments)


def test_channels_cannot_pass_by_blocks_that_change_their_number():
    with pytest.raises(ValueError, match="partial_channels=2: channels cannot bypass"):
        SPACE.supernet(partial_channels=2)


def test_another_shape_is_refused():
    with pytest.raises(ArchitectureError, match="8 edges"):
        SPACE.format(Architecture.of({"layers": [0] * 7}))
