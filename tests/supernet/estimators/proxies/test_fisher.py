import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.fisher import fisher
from tests.supernet.estimators.proxies.references import layers, pair


def test_a_channel_counts_half_its_mean_squared_mask_gradient_once_for_each_weight_of_its_filter():
    network, reference, images, labels = pair()
    masks, filters = [], []

    def masked(module, inputs, output):
        filters.append(module.weight.numel() / output.shape[1])
        masks.append(torch.ones(*output.shape[:2], dtype=output.dtype, requires_grad=True))
        return output * masks[-1].view(*output.shape[:2], *[1] * (output.dim() - 2))

    for layer in layers(reference):
        layer.register_forward_hook(masked)
    F.cross_entropy(reference(images), labels).backward()
    expected = sum(
        weights * mask.grad.square().mean(dim=0).sum() / 2
        for weights, mask in zip(filters, masks, strict=True)
        if mask.grad is not None
    )
    assert set(filters) == {3 * 9, 4, 4 * 9, 8, 8 * 9, 16, 16 * 9}
    torch.testing.assert_close(fisher(network, images, labels), expected)


def test_a_linear_layer_has_a_closed_form():
    torch.manual_seed(0)
    layer, x, labels = nn.Linear(5, 3).double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    logits = layer(x)
    error = (logits.softmax(dim=1) - F.one_hot(labels, 3)) / 4
    information = ((logits * error) ** 2).mean(dim=0).sum().detach() / 2
    torch.testing.assert_close(fisher(layer, x, labels), 5 * information)  # five inputs have five weights
