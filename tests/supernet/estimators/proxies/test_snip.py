import torch
import torch.nn.functional as F

from supernet.estimators.proxies.saliency import loss_gradients
from supernet.estimators.proxies.snip import snip
from tests.supernet.estimators.proxies.references import layers, pair


def test_it_is_the_gradient_of_a_mask_on_every_weight():
    network, reference, images, labels = pair()
    masks = [torch.ones_like(layer.weight, requires_grad=True) for layer in layers(reference)]
    for layer, mask in zip(layers(reference), masks, strict=True):
        weight = layer.weight.detach()
        del layer.weight
        layer.weight = weight * mask
    F.cross_entropy(reference(images), labels).backward()
    expected = sum(mask.grad.abs().sum() for mask in masks if mask.grad is not None)
    torch.testing.assert_close(snip(network, loss_gradients(network, images, labels)), expected)
