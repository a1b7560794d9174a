import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.saliency import loss_gradients, products, total


def test_gradients_are_those_of_the_mean_loss_and_products_keep_their_sign():
    torch.manual_seed(0)
    layer, x, labels = nn.Linear(5, 3).double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    error = layer(x).softmax(dim=1) - F.one_hot(labels, 3)
    (gradient,) = loss_gradients(layer, x, labels)
    torch.testing.assert_close(gradient, (error.T @ x / 4).detach())
    (product,) = products(layer, [gradient])
    torch.testing.assert_close(product, layer.weight.detach() * gradient)
    assert (product < 0).any()
    assert not product.requires_grad


def test_small_entries_are_not_lost_beside_large_ones():
    assert total([torch.full((1,), 2.0**30), torch.ones(3, 2), -torch.full((1,), 2.0**30)]) == 6
