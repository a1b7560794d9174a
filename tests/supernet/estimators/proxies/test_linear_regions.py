import pytest
import torch
from torch import nn

from search_spaces.nasbench201 import NASBench201
from supernet.estimators.proxies.linear_regions import LinearRegions, linear_regions
from tests.supernet.estimators.tasks import SMALL, task


class Kinks(nn.Module):
    """ReLUs that change at these places on a line."""

    def __init__(self, *places):
        super().__init__()
        self.places = torch.tensor(places)

    def forward(self, x):
        return torch.relu(x.flatten(1) - self.places)


def test_kinks_on_a_line_make_one_region_more_than_there_are_kinks():
    line = torch.linspace(-3, 3, 61).reshape(-1, 1, 1, 1) + 0.05
    assert linear_regions(Kinks(-2.0, 0.0, 0.5), line) == 4
    assert linear_regions(Kinks(-2.0, 0.0, 0.5), line[:10]) == 1
    assert linear_regions(Kinks(-10.0), line) == 1


def test_regions_of_all_parts_are_counted_together():
    line = torch.linspace(-3, 3, 60).reshape(-1, 1, 1, 1) + 0.01
    assert linear_regions(Kinks(0.0), line, parts=3) == 2
    both = torch.cat([line, line.flip(0)])
    assert linear_regions(Kinks(0.0), both, parts=2) == 2


def test_the_relus_of_all_layers_make_one_pattern():
    crossed = nn.Sequential(Kinks(-1.0, 1.0), nn.Flatten(), nn.Linear(2, 1), nn.ReLU())
    with torch.no_grad():
        crossed[2].weight.copy_(torch.tensor([[1.0, 1.0]]))
        crossed[2].bias.fill_(-1.0)  # its kink is where (x + 1) = 1, between the others
    line = torch.linspace(-3, 3, 61).reshape(-1, 1, 1, 1) + 0.05
    assert linear_regions(crossed, line) == 4


def test_inputs_are_tiny_and_networks_thin():
    grey = NASBench201(in_channels=1)
    made = LinearRegions(task(grey), batch_size=12)
    assert made.batch(0)[0].shape == (12, 1, 3, 3)
    assert (made.task.space.channels, made.task.space.cells_per_stage) == (1, 1)
    assert LinearRegions(task(), batch_size=12, channels=None).task.space.channels == SMALL.channels
    with pytest.raises(ValueError, match="parts is 7: a batch of 12 can be divided into 1 to 6"):
        LinearRegions(task(), batch_size=12, parts=7)


def test_convolutions_divide_more_than_pooling_does():
    convolutions, pooling = (
        SMALL.parse(f"|{operation}~0|+|{operation}~0|{operation}~1|+|skip_connect~0|{operation}~1|{operation}~2|")
        for operation in ("nor_conv_3x3", "avg_pool_3x3")
    )
    scores = LinearRegions(task(), batch_size=600, parts=3).score([convolutions, pooling])
    assert 1 < scores[1] < scores[0] <= 600
