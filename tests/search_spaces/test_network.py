"""Whole networks: equal to the plain ones, equal to each other where they share weights, inherited and widened."""

import copy

import pytest
import torch
from torch import nn

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.cell import Cell
from search_spaces.darts import DARTS
from search_spaces.layers import ScaledBatchNorm
from search_spaces.nasbench201 import NASBench201
from search_spaces.network import Network, multiply_adds, parameters, widening
from search_spaces.operations import Form, Identity
from tests.search_spaces.plain import PlainNetwork

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
SPACES = {
    "nasbench201": NASBench201(channels=4, cells_per_stage=1),
    "darts": DARTS(channels=4, layers=3),
    "darts_imagenet": DARTS(channels=4, layers=4, stem="imagenet", none=False),
}
FORMS = {"nasbench201": Form(affine=False), "darts": Form(affine=False, pool_norm=True)}


@pytest.fixture(params=list(SPACES))
def space(request):
    return SPACES[request.param]


def randomised(network):
    """In float64, with batch norms that are not the trivial ones."""
    for name, tensor in network.double().state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif name.endswith("running_mean"):
            nn.init.normal_(tensor, std=0.3)
    return network


def images(batch=4, size=(8, 8)):
    return torch.randn(batch, 3, *size, dtype=torch.float64)


def random_weights(space):
    return {
        cell: torch.randn(table.shape, dtype=torch.float64).softmax(dim=1).requires_grad_()
        for cell, table in space.allowed.items()
    }


def kept(architecture):
    """One for each edge that the architecture keeps."""
    return {
        cell: torch.tensor([float(choice != DROPPED) for choice in row], dtype=torch.float64)
        for cell, row in architecture.choices
    }


@pytest.mark.parametrize("partial", [1, 2])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", list(FORMS))
def test_a_network_equals_the_plain_one_in_outputs_gradients_and_statistics(name, training, partial):
    space, form = SPACES[name], FORMS[name]
    network = randomised(space.supernet(partial)).train(training)
    reference = PlainNetwork(network, space, form).train(training)
    x, weights = images(size=(9, 8)).requires_grad_(), random_weights(space)
    factors = {
        cell: torch.rand(len(edges), dtype=torch.float64).requires_grad_() for cell, edges in space.edges.items()
    }
    out, expected = network(x, weights, factors), reference(x, weights, factors)
    torch.testing.assert_close(out, expected, **TOLERANCE)

    probe = torch.randn_like(out)
    sources = [x, *weights.values(), *factors.values()]
    ours = torch.autograd.grad((out * probe).sum(), [*sources, *network.parameters()])
    theirs = torch.autograd.grad((expected * probe).sum(), [*sources, *reference.parameters()])
    torch.testing.assert_close(ours[: len(sources)], theirs[: len(sources)], rtol=1e-12, atol=1e-11)
    gradients = copy.deepcopy(reference)
    names = [name for name, _ in network.named_parameters()]
    gradients.load(dict(zip(names, ours[len(sources) :], strict=True)), network)
    for mine, plain_gradient in zip(gradients.parameters(), theirs[len(sources) :], strict=True):
        torch.testing.assert_close(mine.detach(), plain_gradient, rtol=1e-12, atol=1e-11)

    after = PlainNetwork(network, space, form)
    for (name, mine), (_, plain_buffer) in zip(after.named_buffers(), reference.named_buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(mine, plain_buffer, **TOLERANCE)


@pytest.mark.parametrize("partial", [1, 2])
def test_a_one_hot_supernet_equals_the_network_of_the_architecture_with_inherited_weights(space, partial, generator):
    supernet = randomised(space.supernet(partial))
    x = images(size=(8, 8))
    for architecture in space.sample(2, generator):
        network = space.build(architecture.allowed(space.operations), searching=True, partial_channels=partial).double()
        network.inherit(supernet)
        weights = architecture.one_hot(space.operations, torch.float64)
        for training in (False, True):
            before = copy.deepcopy(supernet.state_dict())
            out = supernet.train(training)(x, weights, kept(architecture))
            torch.testing.assert_close(network.train(training)(x), out, **TOLERANCE)
            supernet.load_state_dict(before)
            if partial == 1:
                torch.testing.assert_close(supernet(x, weights), out, **TOLERANCE)
                supernet.load_state_dict(before)


def test_a_found_network_of_nasbench201_computes_what_its_one_hot_supernet_does(generator):
    space = SPACES["nasbench201"]
    supernet = randomised(space.supernet())
    by_hand = [Architecture.of({"cell": [choice] * 6}) for choice in (0, 3)]
    for architecture in [*space.sample(4, generator), *by_hand]:
        network = space.network(architecture).double()
        network.inherit(supernet)  # its scales are one and its shifts zero
        x, one_hot = images(), architecture.one_hot(space.operations, torch.float64)
        torch.testing.assert_close(network.eval()(x), supernet.eval()(x, one_hot), **TOLERANCE)


@pytest.mark.parametrize("partial", [1, 2])
def test_running_only_an_architecture_equals_running_all_with_its_table(space, partial, generator):
    x = images()
    for architecture in space.sample(2, generator):
        supernet = randomised(space.supernet(partial))
        other = copy.deepcopy(supernet)
        before = copy.deepcopy(supernet.state_dict())
        weights, only = architecture.one_hot(space.operations, torch.float64), dict(architecture.choices)
        out = supernet(x, weights, kept(architecture), only)
        expected = other(x, weights, kept(architecture))
        torch.testing.assert_close(out, expected, **TOLERANCE)
        ours, theirs = (
            torch.autograd.grad(y.square().sum(), list(n.parameters()), allow_unused=True, materialize_grads=True)
            for y, n in ((out, supernet), (expected, other))
        )
        for mine, full in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, full, **TOLERANCE)

        network = space.build(architecture.allowed(space.operations), searching=True, partial_channels=partial)
        after, full, start = (network.adopt(supernet, s) for s in (supernet.state_dict(), other.state_dict(), before))
        for name, tensor in after.items():  # the statistics of what ran
            torch.testing.assert_close(tensor, full[name], **TOLERANCE)
        moved = sum(int((after[name] != start[name]).sum()) for name in after if "running" in name)
        everything = {name: tensor for name, tensor in supernet.state_dict().items() if "running" in name}
        assert moved == sum(int((tensor != before[name]).sum()) for name, tensor in everything.items())


def test_inheriting_copies_and_does_not_share(space, generator):
    supernet = space.supernet()
    network = space.network(space.sample(1, generator)[0])
    network.inherit(supernet)
    addresses = {parameter.data_ptr() for parameter in supernet.parameters()}
    assert not addresses & {parameter.data_ptr() for parameter in network.parameters()}


def test_inheriting_keeps_the_scales_that_the_parent_does_not_have(space, generator):
    network = space.network(space.sample(1, generator)[0])
    for parameter in network.parameters():
        nn.init.constant_(parameter, 7)
    network.inherit(space.supernet())
    scales = [
        (name, module.weight)
        for cell in network.cells
        for name, module in cell.named_modules()
        if isinstance(module, ScaledBatchNorm) and module.weight is not None
    ]
    assert scales
    assert all((scale == 7).all() for _, scale in scales)
    assert not any(
        (parameter == 7).any() for name, parameter in network.named_parameters() if name.endswith("conv.weight")
    )


def less(space, generator, share=0.5):
    """A table with about this share of the operations, at least one on each edge."""
    allowed = {}
    for cell, table in space.allowed.items():
        fewer = torch.rand(table.shape, generator=generator) < share
        fewer[torch.arange(len(table)), torch.randint(1, table.shape[1], (len(table),), generator=generator)] = True
        allowed[cell] = fewer
    return allowed


@pytest.mark.parametrize("partial", [1, 2])
def test_a_pruned_supernet_computes_what_the_full_one_does_with_zero_weights(space, partial, generator):
    supernet = randomised(space.supernet(partial))
    smaller = space.restrict(less(space, generator))
    pruned = smaller.supernet(partial).double()
    pruned.inherit(supernet)
    weights = {cell: table.detach() * smaller.allowed[cell] for cell, table in random_weights(space).items()}
    x = images()
    torch.testing.assert_close(pruned.eval()(x, weights), supernet.eval()(x, weights), **TOLERANCE)


def test_a_widened_supernet_repeats_the_channels_of_each_operation(space, generator):
    """And, without repeated channels, computes what it did."""
    allowed = less(space, generator)
    parent = randomised(space.build(space.allowed, searching=True, partial_channels=4))
    network = space.build(allowed, searching=True, partial_channels=2).double()
    maps = widening(network, parent, generator)
    network.load(network.adopt(parent, parent.state_dict(), maps, rescale=True))
    assert len(maps) == len(network.cells)
    for prefix, cell, theirs in zip(maps, network.cells, parent.cells, strict=True):
        assert maps[prefix].keys() == {group.key for group in cell.groups}
        groups = {group.key: group for group in theirs.groups}
        for group in cell.groups:
            index = maps[prefix][group.key]
            old = theirs.channels[group.source] // 4
            assert index.tolist()[:old] == list(range(old))
            assert len(index) == 2 * old
            assert index.max() < old
            if group.operation.startswith(("sep", "dil", "nor", "max", "avg")):
                rows = [groups[group.key].edges.index(edge) for edge in group.edges]
                x = torch.randn(3, old, 6, 6, dtype=torch.float64).relu()
                expected = theirs.operations[group.key].eval()(x)[:, rows][:, :, index]
                out = cell.operations[group.key].eval()(x[:, index])
                torch.testing.assert_close(out, expected, **TOLERANCE)
    for name, tensor in network.state_dict().items():
        if "preprocess" in name or not name.startswith("trunk"):
            assert torch.equal(tensor, parent.state_dict()[name])


def test_a_widening_is_a_function_of_its_generator(space):
    parent, network = space.supernet(4), space.supernet(2)
    maps = [widening(network, parent, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    flat = [torch.cat([index for cell in m.values() for index in cell.values()]) for m in maps]
    assert torch.equal(flat[0], flat[1])
    assert not torch.equal(flat[0], flat[2])


@pytest.mark.parametrize("rescale", [True, False])
def test_momentum_follows_its_weights(space, rescale, generator):
    """Slices of an optimizer's buffers go to the weights that the same slices of weights go to."""
    parent = space.supernet(4)
    network = space.build(less(space, generator), searching=True, partial_channels=2)
    maps = widening(network, parent, generator)
    weights = {name: parameter.detach() for name, parameter in parent.named_parameters()}
    momentum = {name: -3 * tensor for name, tensor in weights.items()}
    adopted = network.adopt(parent, weights, maps, rescale), network.adopt(parent, momentum, maps, rescale)
    assert adopted[0].keys() == dict(network.named_parameters()).keys()
    for name, parameter in network.named_parameters():
        assert adopted[1][name].shape == parameter.shape
        torch.testing.assert_close(adopted[1][name], -3 * adopted[0][name])


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_without_tracking_batches_leave_no_trace_and_are_normalised_by_themselves(space):
    network = randomised(space.supernet())
    tracking = copy.deepcopy(network)
    assert {type(module) for module in norms(network)} == {nn.BatchNorm2d, ScaledBatchNorm}
    for module in norms(network):
        module.track_running_stats = False
    before = copy.deepcopy(network.state_dict())
    x, weights = images(), random_weights(space)
    torch.testing.assert_close(network(x, weights), tracking(x, weights), **TOLERANCE)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    statistics = {name: tensor for name, tensor in tracking.state_dict().items() if "running" in name}
    assert all(not torch.equal(tensor, before[name]) for name, tensor in statistics.items())


def test_drop_path_and_dropout_reach_every_cell(space, generator):
    network = space.supernet()
    network.drop_path(0.3)
    assert [cell.drop_path for cell in network.cells] == [0.3] * len(network.cells)
    assert sum(isinstance(module, Identity) for module in network.modules()) >= len(network.cells)


def test_a_cell_with_two_inputs_gets_the_two_layers_before_it():
    class Add(Cell):
        def __init__(self, inputs):
            nn.Module.__init__(self)
            self.inputs, self.cell_type, self.widths = inputs, "cell", []

        def forward(self, inputs, mixture=None):
            assert mixture is None
            return sum(inputs) if self.inputs == 2 else inputs[0] + 1

    trunk = [Add(2), Add(2), nn.Identity(), Add(2), Add(1)]
    network = Network({}, nn.Identity(), trunk, nn.Identity())
    x = torch.ones(1)  # 1 1 -> 2 -> 3 -> 3 -> 6 -> 7
    assert network(x).item() == 7


def test_multiply_adds_of_a_convolution_and_a_linear_layer_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10))
    assert multiply_adds(network, (3, 4, 4)) == 8 * 3 * 9 * 16 + 8 * 16 * 10
    assert parameters(network) == 8 * 3 * 9 + 8 * 16 * 10 + 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counting_leaves_mode_and_statistics_alone(dtype):
    network = NASBench201(channels=4, cells_per_stage=1).network(next(NASBench201().enumerate())).to(dtype)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    multiply_adds(network.train(), (3, 8, 8))
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_weights_for_edges_need_mixing_weights_and_every_cell_type_has_its_own():
    network, x = SPACES["darts"].supernet(), torch.randn(2, 3, 8, 8)
    with pytest.raises(ValueError, match="mixing weights"):
        network(x, edges={"normal": torch.ones(14), "reduce": torch.ones(14)})
    with pytest.raises(ValueError, match="mixing weights"):
        network(x, only={"normal": [1] * 14, "reduce": [1] * 14})
    with pytest.raises(KeyError, match="reduce"):
        network(x, {"normal": SPACES["darts"].prior()["normal"]})


def test_maps_may_be_on_another_device_than_the_weights(generator):
    """A generator on the processor draws them; the weights may be on an accelerator (here: torch's meta device)."""
    space = SPACES["darts"]
    parent, network = space.supernet(4), space.supernet(2)
    maps = widening(network, parent, generator)
    state = {name: tensor.to("meta") for name, tensor in parent.state_dict().items()}
    for rescale in (False, True):
        adopted = network.adopt(parent, state, maps, rescale)
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        assert {name: tensor.shape for name, tensor in adopted.items()} == shapes
        assert {tensor.device.type for tensor in adopted.values()} == {"meta"}
