import math

import pytest
import torch
from torch import nn

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.published import EXAMPLE
from supernet import seeds
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.proxies.synflow import SynFlow, synflow
from tests.supernet.estimators.proxies.references import TEXT, layers, pair
from tests.supernet.estimators.tasks import SMALL, task


def test_a_chain_of_linear_layers_flows_as_often_as_it_has_layers():
    # Every layer's saliencies sum to R, the sum over paths of products of absolute weights.
    torch.manual_seed(0)
    chain = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(3))).double()
    x = torch.ones(1, 4, dtype=torch.float64)
    flow = x
    for layer in chain:
        flow = flow @ layer.weight.abs().T
    torch.testing.assert_close(synflow(chain, x), 3 * flow.sum().detach())


def test_it_is_what_backward_leaves_in_the_positive_network_without_batch_norms():
    network, reference, images, _ = pair()
    for parameter in reference.parameters():
        parameter.data.abs_()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.eps = 0.0
    ones = torch.ones_like(images[:1])
    reference(ones).sum().backward()
    expected = sum(
        (layer.weight * layer.weight.grad).abs().sum() for layer in layers(reference) if layer.weight.grad is not None
    )
    with normalised("identity"):
        torch.testing.assert_close(synflow(network, ones), expected.detach())


def test_the_score_is_the_logarithm_for_an_image_of_ones_without_batch_norms():
    (score,) = SynFlow(task(), batch_size=1).measurements(SMALL.parse(TEXT))
    torch.manual_seed(seeds.derive(0, seeds.SCORE, 0))
    network = SMALL.network(SMALL.parse(TEXT)).double().train()
    with normalised("identity"):
        flow = synflow(network, torch.ones(1, 3, 8, 8, dtype=torch.float64))
    assert score == pytest.approx(float(flow.log()), rel=1e-12)


LARGEST = [
    (NASBench201(), "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"),
    (DARTS(channels=36, layers=20), EXAMPLE),
]


@pytest.mark.parametrize(("space", "text"), LARGEST, ids=["nasbench201", "darts"])
def test_the_largest_networks_do_not_overflow(space, text):
    architecture = space.parse(text)
    (score,) = SynFlow(task(space, size=32), batch_size=1).measurements(architecture)
    assert math.isfinite(score)
