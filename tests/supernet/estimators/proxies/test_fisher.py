import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.fisher import fisher
from tests.supernet.estimators.proxies.references import layers, pair


def test_it_is_half_the_mean_squared_gradient_of_a_mask_on_every_channel_of_every_image():
    network, reference, images, labels = pair()
    masks = []

    def masked(module, inputs, output):
        masks.append(torch.ones(*output.shape[:2], dtype=output.dtype, requires_grad=True))
        return output * masks[-1].view(*output.shape[:2], *[1] * (output.dim() - 2))

    for layer in layers(reference):
        layer.register_forward_hook(masked)
    F.cross_entropy(reference(images), labels).backward()
    expected = sum(mask.grad.square().mean(dim=0).sum() / 2 for mask in masks if mask.grad is not None)
    torch.testing.assert_close(fisher(network, images, labels), expected)


def test_a_linear_layer_has_a_closed_form():
    torch.manual_seed(0)
    layer, x, labels = nn.Linear(5, 3).double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    logits = layer(x)
    error = (logits.softmax(dim=1) - F.one_hot(labels, 3)) / 4
    torch.testing.assert_close(fisher(layer, x, labels), ((logits * error) ** 2).mean(dim=0).sum().detach() / 2)
