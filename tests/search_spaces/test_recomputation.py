import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.recomputation import recomputed
from search_spaces.robust_darts import RobustDARTS

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
SPACES = {"nasbench201": NASBench201(4, 1), "darts": DARTS(4, 3)}


def statistics(network):
    return [tensor.clone() for name, tensor in network.named_buffers() if "running" in name]


def gradients(space, what, weights=None, twice=False, draws=False):
    """Of alphas and weights, and the running statistics; ``weights`` are lent to the network."""
    torch.manual_seed(0)
    network = space.supernet().double()
    network.recompute(what)
    if draws:
        network.drop_path(0.3)
    alphas = {
        cell: torch.randn(table.shape, dtype=torch.float64).requires_grad_() for cell, table in space.allowed.items()
    }
    images, labels = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.randint(10, (4,))
    own = dict(network.named_parameters())
    lent = own if weights is None else {name: (weights * one.detach()).requires_grad_() for name, one in own.items()}
    mixture = {cell: alpha.softmax(1) for cell, alpha in alphas.items()}
    logits = network(images, mixture) if weights is None else functional_call(network, lent, (images, mixture))
    inputs = [*alphas.values(), *lent.values()]
    loss = F.cross_entropy(logits, labels)
    grads = torch.autograd.grad(loss, inputs, create_graph=twice, materialize_grads=True)
    if twice:
        direction = [torch.randn_like(one) for one in grads]
        grads = torch.autograd.grad(
            sum((g * d).sum() for g, d in zip(grads, direction, strict=True)), inputs, materialize_grads=True
        )
    return [*grads, *statistics(network)]


@pytest.mark.parametrize("options", [{}, {"weights": 2.0}, {"twice": True}, {"draws": True}], ids=str)
@pytest.mark.parametrize("what", ["cell", "operation"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_gradients_of_any_order_and_statistics_are_those_without(space, what, options):
    for mine, expected in zip(gradients(space, what, **options), gradients(space, None, **options), strict=True):
        torch.testing.assert_close(mine, expected, **TOLERANCE)


@pytest.mark.parametrize("what", ["cell", "operation"])
def test_operations_that_draw_noise_draw_the_same_again(what):
    space = RobustDARTS("s4", 4, 3)
    for mine, expected in zip(gradients(space, what), gradients(space, None), strict=True):
        torch.testing.assert_close(mine, expected, **TOLERANCE)


def test_the_inside_is_computed_a_second_time_for_gradients_and_not_without_them():
    calls = []

    class Inside(nn.Module):
        def forward(self, x):
            calls.append(torch.is_grad_enabled())
            return x.exp().exp()

    x = torch.ones(2, requires_grad=True)
    recomputed(Inside(), x).sum().backward()
    assert calls == [True, True]
    with torch.no_grad():
        recomputed(Inside(), x)
    assert calls == [True, True, False]


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="it must be one of cell, operation, or null"):
        SPACES["nasbench201"].supernet().recompute("layer")
