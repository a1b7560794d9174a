import torch
from torch import nn

from search_spaces.nasbench201 import NASBench201
from search_spaces.network import multiply_adds, parameters


def test_multiply_adds_of_a_convolution_and_a_linear_layer_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10))
    assert multiply_adds(network, (3, 4, 4)) == 8 * 3 * 9 * 16 + 8 * 16 * 10
    assert parameters(network) == 8 * 3 * 9 + 8 * 16 * 10 + 10


def test_counting_leaves_mode_and_statistics_alone():
    network = NASBench201(channels=4, cells_per_stage=1).network(next(NASBench201().enumerate()))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    multiply_adds(network.train(), (3, 8, 8))
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
