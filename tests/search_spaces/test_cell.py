"""The batched cell against the plain one: equal outputs, equal gradients, equal statistics."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from search_spaces import darts, nasbench201
from search_spaces.cell import Cell
from search_spaces.operations import FactorizedReduce, Form, Identity, ReLUConvBN
from search_spaces.wiring import Wiring
from tests.search_spaces.plain import plain

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


@dataclass(frozen=True)
class Kind:
    """A cell type of a space: what its `Wiring` is built from."""

    edges: tuple[tuple[int, int], ...]
    operations: tuple[str, ...]
    options: dict[str, Any]
    searching: Form

    @property
    def everything(self):
        return torch.ones(len(self.edges), len(self.operations), dtype=torch.bool)

    def wiring(self, allowed=None):
        return Wiring(self.edges, self.operations, self.everything if allowed is None else allowed, **self.options)

    def cell(self, channels=4, form=None, partial=1, allowed=None):
        """In float64, with batch norms that are not the trivial ones."""
        form = form or self.searching
        preprocess = None
        if self.options:
            preprocess = [
                darts.Preprocess(FactorizedReduce(1, 6, channels, form.affine)),
                darts.Preprocess(ReLUConvBN(1, 5, channels, 1, 1, form.affine)),
            ]
        cell = Cell("cell", self.wiring(allowed), channels, form, preprocess, partial).double()
        for name, parameter in cell.named_parameters():
            if "norm" in name:
                nn.init.normal_(parameter)
        for name, buffer in cell.named_buffers():
            if "running" in name:
                nn.init.uniform_(buffer, 0.5, 1.5)
        return cell

    def inputs(self, batch=3, channels=4, size=(6, 6), layout=torch.contiguous_format):
        shapes = [(6, *(2 * side - side % 2 for side in size)), (5, *size)] if self.options else [(channels, *size)]
        return [
            torch.randn(batch, *shape, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
            for shape in shapes
        ]

    def weights(self):
        return torch.randn(self.everything.shape, dtype=torch.float64).softmax(dim=1).requires_grad_()

    def factors(self):
        return torch.rand(len(self.edges), dtype=torch.float64).requires_grad_()


TWO_INPUTS = {"inputs": 2, "output": "concat"}
KINDS = {
    "nasbench201": Kind(nasbench201.EDGES, nasbench201.OPERATIONS, {}, Form(affine=False)),
    "normal": Kind(darts.EDGES, darts.OPERATIONS, TWO_INPUTS, Form(affine=False, pool_norm=True)),
    "reduce": Kind(
        darts.EDGES, darts.OPERATIONS, {**TWO_INPUTS, "strides": {0: 2, 1: 2}}, Form(affine=False, pool_norm=True)
    ),
}
FOUND = Form(affine=True)


@pytest.fixture(params=list(KINDS))
def kind(request):
    return KINDS[request.param]


def assert_equal_to_plain(kind, cell, form, inputs, weights, factors=None):
    """Outputs, gradients with respect to everything, and the statistics that the pass leaves behind."""
    reference = plain(cell, kind.edges, kind.operations, form).train(cell.training)
    out = cell(inputs, kind.wiring().split(weights, factors))
    expected = reference(inputs, weights, factors)
    torch.testing.assert_close(out, expected, **TOLERANCE)

    probe = torch.randn_like(out)
    sources = [*inputs, weights, *([] if factors is None else [factors])]
    ours = torch.autograd.grad((out * probe).sum(), [*sources, *cell.parameters()])
    theirs = torch.autograd.grad(
        (expected * probe).sum(), [*sources, *reference.parameters()], allow_unused=True, materialize_grads=True
    )
    for mine, plain_gradient in zip(ours[: len(sources)], theirs[: len(sources)], strict=True):
        torch.testing.assert_close(mine, plain_gradient, **TOLERANCE)
    names = [name for name, _ in cell.named_parameters()]
    gradients = copy.deepcopy(reference)
    for parameter in gradients.parameters():
        nn.init.constant_(parameter, torch.nan)
    gradients.load(dict(zip(names, ours[len(sources) :], strict=True)), cell)
    for mine, plain_gradient in zip(gradients.parameters(), theirs[len(sources) :], strict=True):
        torch.testing.assert_close(mine.detach(), plain_gradient, **TOLERANCE)

    after = plain(cell, kind.edges, kind.operations, form)
    statistics = 0
    for (name, mine), (_, plain_buffer) in zip(after.named_buffers(), reference.named_buffers(), strict=True):
        if "running" in name:
            statistics += 1
            torch.testing.assert_close(mine, plain_buffer, **TOLERANCE)
    assert statistics > 0


@pytest.mark.parametrize("partial", [1, 2, 4])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
def test_the_batched_cell_equals_the_plain_one_in_outputs_gradients_and_statistics(kind, partial, training, layout):
    channels = max(4, 2 * partial)
    cell = kind.cell(channels, partial=partial).train(training).to(memory_format=layout)
    inputs = kind.inputs(channels=channels, layout=layout)
    assert_equal_to_plain(kind, cell, kind.searching, inputs, kind.weights(), kind.factors())


@pytest.mark.parametrize("training", [True, False])
def test_so_it_does_in_the_form_of_found_networks_and_without_edge_weights(kind, training):
    cell = kind.cell(form=FOUND).train(training)
    assert_equal_to_plain(kind, cell, FOUND, kind.inputs(), kind.weights())


@pytest.mark.parametrize("partial", [1, 2])
def test_so_it_does_on_odd_images(kind, partial):
    cell = kind.cell(partial=partial)
    assert_equal_to_plain(kind, cell, kind.searching, kind.inputs(size=(7, 5)), kind.weights())


@pytest.mark.parametrize("partial", [1, 2])
def test_a_restricted_cell_equals_the_plain_one_with_zero_weights(kind, partial, generator):
    allowed = torch.rand(kind.everything.shape, generator=generator) < 0.4
    allowed[:, 1] = True
    cell, parent = kind.cell(allowed=allowed, partial=partial), kind.cell(partial=partial)
    cell.load_state_dict(cell.adopt(parent, parent.state_dict(), {}, rescale=False))
    weights = torch.rand(allowed.shape, dtype=torch.float64, generator=generator) * allowed
    inputs = kind.inputs()
    out = cell(inputs, kind.wiring(allowed).split(weights))
    expected = plain(parent, kind.edges, kind.operations, kind.searching)(inputs, weights)
    torch.testing.assert_close(out, expected, **TOLERANCE)


def test_a_node_that_nothing_enters_is_zero_and_of_the_right_size():
    kind = KINDS["reduce"]
    allowed = kind.everything
    allowed[: len(kind.edges) - 5] = False  # only node 5 has inputs
    cell = kind.cell(allowed=allowed)
    nodes = cell(kind.inputs(size=(7, 5))).chunk(4, dim=1)
    assert [tuple(node.shape) for node in nodes] == [(3, 4, 4, 3)] * 4
    assert [bool(node.any()) for node in nodes] == [False, False, False, True]


def some_choices(kind, generator):
    """For each edge one operation, or none of them; first such that the edges of an operation are not neighbours."""
    yield [kind.operations.index("avg_pool_3x3" if node % 2 else "skip_connect") for _, node in kind.edges]
    for _ in range(3):
        choices = torch.randint(len(kind.operations), (len(kind.edges),), generator=generator)
        yield choices.masked_fill(torch.rand(len(choices), generator=generator) < 0.3, -1).tolist()


@pytest.mark.parametrize("partial", [1, 2])
def test_running_only_the_chosen_operations_equals_running_all_with_their_table(kind, partial, generator):
    for choices in some_choices(kind, generator):
        chosen = torch.tensor(choices)[:, None] == torch.arange(len(kind.operations))
        table = chosen * torch.rand(chosen.shape, dtype=torch.float64, generator=generator)
        factors = torch.tensor([float(choice >= 0) for choice in choices], dtype=torch.float64)
        cell = kind.cell(partial=partial)
        before, other = copy.deepcopy(cell.state_dict()), copy.deepcopy(cell)
        inputs = kind.inputs()
        out = cell(inputs, kind.wiring().split(table, factors, choices))
        expected = other(inputs, kind.wiring().split(table, factors))
        torch.testing.assert_close(out, expected, **TOLERANCE)

        probe = torch.randn_like(out)
        ours, theirs = (
            torch.autograd.grad(
                (y * probe).sum() + 0 * inputs[0].sum(),  # a choice may leave the output without a path from the input
                [*inputs, *c.parameters()],
                allow_unused=True,
                materialize_grads=True,
            )
            for y, c in ((out, cell), (expected, other))
        )
        for mine, full in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, full, **TOLERANCE)

        after, full = cell.state_dict(), other.state_dict()
        for group in cell.groups:
            executed = torch.tensor([choices[edge] == group.index for edge in group.edges])
            for name in after:
                if name.startswith(f"operations.{group.key}.") and "running" in name:
                    copies = 1 if "pool" in group.operation else len(executed)
                    ran = executed.any(0, keepdim=True) if copies == 1 else executed
                    mine, all_ran, start = (s[name].unflatten(0, (copies, -1)) for s in (after, full, before))
                    torch.testing.assert_close(mine[ran], all_ran[ran], **TOLERANCE)
                    assert torch.equal(mine[~ran], start[~ran])
                    assert not torch.equal(mine[ran], start[ran]) or not ran.any()


def test_names_stay_when_operations_are_removed(kind):
    table = kind.everything
    table[0, 3] = False
    assert set(kind.cell(allowed=table).state_dict()) == set(kind.cell().state_dict())


def test_no_gradient_is_computed_for_weights_when_only_alphas_are_asked(kind):
    cell = kind.cell()
    weights = kind.weights()
    frozen = {name: parameter.detach() for name, parameter in cell.named_parameters()}
    out = torch.func.functional_call(cell, frozen, ([x.detach() for x in kind.inputs()], kind.wiring().split(weights)))
    (gradient,) = torch.autograd.grad(out.square().sum(), weights)
    assert gradient[:, 1:].abs().min() > 0
    assert gradient[:, 0].abs().max() == 0  # `none` is never computed


def test_partial_channels_must_divide_the_channels():
    with pytest.raises(ValueError, match="partial_channels=3 does not divide the 4 channels"):
        KINDS["normal"].cell(partial=3)


def chosen(operation):
    """A cell of DARTS of which each edge has this operation, and the table that says so."""
    kind = KINDS["normal"]
    table = torch.zeros(kind.everything.shape, dtype=torch.bool)
    table[:, kind.operations.index(operation)] = True
    return kind.cell(channels=2, form=FOUND, allowed=table)


def test_drop_path_keeps_the_expectation_and_drops_each_image_and_edge_by_itself():
    torch.manual_seed(0)
    allowed = torch.ones(2, 1, dtype=torch.bool)
    wiring = Wiring([(0, 1), (0, 1)], ["avg_pool_3x3"], allowed)
    cell = Cell("cell", wiring, 1, FOUND)
    x = torch.ones(20_000, 1, 1, 1)
    cell.drop_path = 0.25
    out = cell([x]).flatten()
    assert out.mean() == pytest.approx(2.0, abs=0.03)  # four standard deviations
    values, counts = out.unique(return_counts=True)
    torch.testing.assert_close(values, torch.tensor([0.0, 4 / 3, 8 / 3]))
    shares = [0.25**2, 2 * 0.25 * 0.75, 0.75**2]  # the two edges are independent
    assert counts.div(len(out)).tolist() == pytest.approx(shares, abs=0.015)


def test_drop_path_drops_an_image_as_a_whole():
    wiring = Wiring([(0, 1)], ["avg_pool_3x3"], torch.ones(1, 1, dtype=torch.bool))
    cell = Cell("cell", wiring, 3, FOUND)
    cell.drop_path = 0.5
    out = cell([torch.ones(64, 3, 4, 4)]).flatten(1)
    assert torch.equal(out.amin(dim=1), out.amax(dim=1))
    assert set(out[:, 0].tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("operation", ["skip_connect", "max_pool_3x3", "sep_conv_3x3", "dil_conv_5x5"])
def test_drop_path_spares_the_identity_and_works_in_training_only(operation):
    cell = chosen(operation).eval()
    inputs = KINDS["normal"].inputs()
    plain_output = cell(inputs)
    cell.drop_path = 0.9
    assert torch.equal(cell(inputs), plain_output)
    for layer in cell.preprocess:
        layer.eval()
    for operation_ in cell.operations.values():
        operation_.eval()
    cell.training = True  # the batch norms stay as they are
    assert torch.equal(cell(inputs), plain_output) == (operation == "skip_connect")


def test_drop_path_may_drop_the_strided_skip():
    assert FactorizedReduce(1, 2, 2, True).droppable
    assert not Identity(1).droppable
