import math

import pytest
import torch
from torch import nn

from search_spaces.nasbench201 import NASBench201
from supernet.estimators.proxies.initialisation import initialise
from supernet.estimators.proxies.layers import layers

SPACE = NASBench201(channels=64, cells_per_stage=1)
TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SPACE.network(SPACE.parse(TEXT))


@pytest.mark.parametrize("how", ["kaiming_fan_in", "kaiming_fan_out"])
def test_kaiming_counts_the_fan_of_one_edge(how, network):
    initialise(network, how)
    for layer in layers(network)[1:-1]:
        for weight in layer.split(layer.module.weight):
            fan = weight[0].numel() if how == "kaiming_fan_in" else weight[:, 0].numel()
            assert float(weight.detach().std()) == pytest.approx(math.sqrt(2 / fan), rel=0.05), layer.name


def test_normal_is_standard_and_the_rest_is_neutral(network):
    initialise(network, "normal")
    assert float(
        torch.cat([layer.module.weight.detach().flatten() for layer in layers(network)]).std()
    ) == pytest.approx(1, 0.02)
    assert float(network.head[-1].bias.detach().abs().sum()) == 0
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert torch.equal(norm.bias, torch.zeros_like(norm.bias))


def test_default_leaves_the_weights_as_the_layers_drew_them(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    initialise(network, "default")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_an_unknown_way_is_refused(network):
    with pytest.raises(ValueError, match="initialisation is 'xavier': it must be one of default"):
        initialise(network, "xavier")
