from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.estimators.proxies.linear_regions import LinearRegions, keep_beginning, linear_regions, pieces
from supernet.estimators.supernets import Mixed, uniform
from supernet.samples import Samples
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


def test_inputs_are_pieces_of_one_channel_and_cells_are_thin():
    made = LinearRegions(task(), batch_size=12)
    assert made.batch(0)[0].shape == (12, 1, 3, 3)
    assert (made.task.space.channels, made.task.space.cells_per_stage) == (1, 1)
    assert LinearRegions(task(), batch_size=12, channels=None).task.space.channels == SMALL.channels
    with pytest.raises(ValueError, match="parts is 7: a batch of 12 can be divided into 1 to 6"):
        LinearRegions(task(), batch_size=12, parts=7)


def test_a_piece_is_cut_from_its_own_image():
    images = torch.arange(2 * 3 * 5 * 4.0).reshape(2, 3, 5, 4)
    which = torch.arange(200) % 2
    found = pieces(images, which)
    corners = found[:, 0, 0, 0].long()
    image, channel, y, x = corners // 60, corners // 20 % 3, corners // 4 % 5, corners % 4
    assert image.equal(which)
    assert [set(part.tolist()) for part in (channel, y, x)] == [{0, 1, 2}, {0, 1, 2}, {0, 1}]
    for piece, i, c, top, left in zip(found, image, channel, y, x, strict=True):
        assert piece[0].equal(images[i, c, top : top + 3, left : left + 3])


def test_smaller_images_are_continued_with_zeros():
    assert pieces(torch.ones(1, 1, 2, 1), torch.zeros(1, dtype=torch.long)).sum() == 2


def test_more_inputs_than_images_are_different_pieces_of_the_same_images():
    few = task()
    made = LinearRegions(few, batch_size=4 * len(few.samples.labels))
    found, labels = made.batch(0)
    assert len(found) == len(labels) == 4 * len(few.samples.labels)
    assert len(found.unique(dim=0)) > len(few.samples.labels)


@pytest.mark.parametrize(
    ("space", "kept"),
    [(NASBench201(4, 2), 1), (DARTS(1, 3), 2), (DARTS(4, 8), 3)],
    ids=["nasbench201", "thin", "darts"],
)
def test_the_beginning_without_stem_and_head_is_left(space, kept):
    network = space.network(space.sample(1, torch.Generator().manual_seed(0))[0])
    trunk = list(network.trunk)
    keep_beginning(network, torch.zeros(2, 3, 8, 8))
    assert list(network.trunk) == trunk[:kept]
    assert {cell.cell_type for cell in network.cells} == set(space.edges)
    parameters = sum(p.numel() for layer in trunk[:kept] for p in layer.parameters())
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network(torch.randn(6, 1, 3, 3)).min() == 0


def test_a_supernet_does_not_tell_every_two_inputs_apart():
    smooth = F.interpolate(torch.randn(200, 3, 3, 3, generator=torch.Generator().manual_seed(0)), 16, mode="bilinear")
    there = replace(task(), samples=Samples.of(smooth, torch.arange(200) % 10, 10))
    space = there.space.thin(1)
    made = LinearRegions(there, batch_size=3000)
    (found,) = made.average(space.supernet, lambda whole: Mixed(whole, uniform(space.allowed)))
    assert 100 < found < 2000


def test_convolutions_divide_more_than_pooling_does():
    convolutions, pooling = (
        SMALL.parse(f"|{operation}~0|+|{operation}~0|{operation}~1|+|skip_connect~0|{operation}~1|{operation}~2|")
        for operation in ("nor_conv_3x3", "avg_pool_3x3")
    )
    scores = LinearRegions(task(), batch_size=600, parts=3).score([convolutions, pooling])
    assert 1 < scores[1] < scores[0] <= 600


def test_stems_of_several_convolutions_can_be_as_thin_as_one_channel():
    space = DARTS(channels=4, layers=3, stem="imagenet")
    (architecture,) = space.sample(1, torch.Generator().manual_seed(0))
    (score,) = LinearRegions(task(space, size=32), batch_size=30).measurements(architecture)
    assert 1 <= score <= 30
