import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.plain import plain
from supernet.estimators.proxies.saliency import loss_gradients
from supernet.estimators.proxies.snip import snip
from tests.supernet.estimators.proxies.references import pair


def test_a_linear_layer_has_a_closed_form():
    torch.manual_seed(0)
    layer, x, labels = nn.Linear(5, 3).double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    error = layer(x).softmax(dim=1) - F.one_hot(labels, 3)  # dL/dlogits, times the batch
    expected = (layer.weight * (error.T @ x) / 4).sum()
    torch.testing.assert_close(plain(layer, loss_gradients(layer, x, labels)), expected.detach())


def test_only_weights_that_no_batch_norm_rescales_have_a_plain_saliency():
    # A weight before a batch norm is orthogonal to its gradient: its scale does not matter.
    network, _, images, labels = pair()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-12
    free = [network.head[-1].weight] + [layer.shortcut.weight for layer in network.trunk if hasattr(layer, "shortcut")]
    gradients = torch.autograd.grad(F.cross_entropy(network(images), labels), free)
    expected = sum((weight * gradient).sum() for weight, gradient in zip(free, gradients, strict=True))
    found = loss_gradients(network, images, labels)
    torch.testing.assert_close(plain(network, found), expected.detach(), rtol=1e-6, atol=1e-9)
    assert snip(network, found) > 2 * plain(network, found).abs()
