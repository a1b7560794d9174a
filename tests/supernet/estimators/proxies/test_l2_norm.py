import torch

from supernet.estimators.proxies.l2_norm import l2_norm
from tests.supernet.estimators.proxies.references import layers, pair


def test_it_is_the_sum_of_the_norms_of_published_modules():
    network, reference, _, _ = pair()
    torch.testing.assert_close(l2_norm(network), sum(layer.weight.detach().norm() for layer in layers(reference)))
