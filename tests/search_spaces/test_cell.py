"""The batched cell against the plain one: equal outputs, equal gradients, equal statistics."""

import copy

import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.cell import Cell, Wiring
from search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201
from tests.search_spaces.plain import plain

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
FULL = torch.ones(6, 5, dtype=torch.bool)


def double_cell(allowed=FULL, affine=False):
    cell = Cell("cell", Wiring(EDGES, OPERATIONS, allowed), channels=4, affine=affine).double()
    for name, parameter in cell.named_parameters():
        if "norm" in name:  # not the trivial one and zero
            torch.nn.init.normal_(parameter)
    return cell


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_batched_cell_equals_the_plain_one_in_outputs_gradients_and_statistics(affine, training, layout):
    cell = double_cell(affine=affine).train(training)
    reference = plain(cell).train(training)
    cell = cell.to(memory_format=layout)
    x = torch.randn(5, 4, 6, 6, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weights = torch.randn(6, 5, dtype=torch.float64).softmax(dim=1).requires_grad_()
    wiring = Wiring(EDGES, OPERATIONS, FULL)
    out, expected = cell(x, wiring.split(weights)), reference(x, weights)
    torch.testing.assert_close(out, expected, **TOLERANCE)

    probe = torch.randn_like(out).contiguous(memory_format=layout)
    ours = torch.autograd.grad((out * probe).sum(), [x, weights, *cell.parameters()])
    theirs = torch.autograd.grad((expected * probe).sum(), [x, weights, *reference.parameters()], allow_unused=True)
    torch.testing.assert_close(ours[:2], theirs[:2], **TOLERANCE)
    gradients = copy.deepcopy(cell)
    with torch.no_grad():
        for parameter, gradient in zip(gradients.parameters(), ours[2:], strict=True):
            parameter.copy_(gradient)
    for mine, plain_gradient in zip(plain(gradients).parameters(), theirs[2:], strict=True):
        torch.testing.assert_close(mine.detach(), plain_gradient, **TOLERANCE)

    for (name, mine), (_, plain_buffer) in zip(plain(cell).named_buffers(), reference.named_buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(mine, plain_buffer, **TOLERANCE)


def test_a_restricted_cell_equals_the_plain_one_with_zero_weights(generator):
    allowed = torch.rand(6, 5, generator=generator) < 0.5
    allowed[:, 1] = True
    cell, parent = double_cell(allowed), double_cell()
    cell.inherit(parent)
    weights = torch.rand(6, 5, dtype=torch.float64, generator=generator) * allowed
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64, generator=generator)
    out = cell(x, Wiring(EDGES, OPERATIONS, allowed).split(weights))
    torch.testing.assert_close(out, plain(parent)(x, weights), **TOLERANCE)


def test_one_hot_supernet_equals_the_stand_alone_network_with_inherited_weights(generator):
    space = NASBench201(channels=4, cells_per_stage=2)
    supernet = space.supernet().double()
    images = torch.randn(6, 3, 12, 12, dtype=torch.float64, generator=generator)
    uniform = {cell: table.double() for cell, table in space.prior().items()}
    for _ in range(3):  # statistics that are not the initial ones
        supernet(torch.randn(8, 3, 12, 12, dtype=torch.float64, generator=generator), uniform)
    by_hand = [Architecture.of({"cell": [choice] * 6}) for choice in (0, 3)]
    for architecture in [*space.sample(8, generator), *by_hand]:
        network = space.network(architecture).double()
        network.inherit(supernet)
        one_hot = architecture.one_hot(space.operations, torch.float64)
        for training in (False, True):
            mine, parent = copy.deepcopy(network).train(training), copy.deepcopy(supernet).train(training)
            torch.testing.assert_close(mine(images), parent(images, one_hot), **TOLERANCE)


def test_inheriting_copies_and_does_not_share(generator):
    space = NASBench201(channels=4, cells_per_stage=1)
    supernet = space.supernet()
    network = space.network(space.sample(1, generator)[0])
    network.inherit(supernet)
    addresses = {parameter.data_ptr() for parameter in supernet.parameters()}
    assert not addresses & {parameter.data_ptr() for parameter in network.parameters()}


def test_names_stay_when_operations_are_removed():
    space = NASBench201(channels=4, cells_per_stage=1)
    table = FULL.clone()
    table[0, 3] = False
    assert set(space.restrict({"cell": table}).supernet().state_dict()) == set(space.supernet().state_dict())


def test_no_gradient_is_computed_for_weights_when_only_alphas_are_asked():
    cell = double_cell()
    weights = torch.full((6, 5), 0.2, dtype=torch.float64, requires_grad=True)
    frozen = {name: parameter.detach() for name, parameter in cell.named_parameters()}
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    split = Wiring(EDGES, OPERATIONS, FULL).split(weights)
    out = torch.func.functional_call(cell, frozen, (x, split))
    (gradient,) = torch.autograd.grad(out.square().sum(), weights)
    assert gradient[:, 1:].abs().min() > 0
    assert gradient[:, 0].abs().max() == 0  # `none` is never computed
