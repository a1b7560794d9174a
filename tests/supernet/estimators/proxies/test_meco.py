import math

import numpy as np
import pytest
import torch
from torch import nn

from supernet.estimators.proxies.meco import MeCo, meco
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|skip_connect~1|avg_pool_3x3~2|"


class Point(nn.Module):
    """A stem of one point-wise convolution and nothing behind it but a pooling, whose correlations do not exist."""

    def __init__(self, weight):
        super().__init__()
        self.stem = nn.Conv2d(2, len(weight), 1, bias=False)
        self.stem.weight.data = torch.tensor(weight)[:, :, None, None]
        self.trunk = nn.ModuleList()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return self.head(self.stem(x))


ORTHOGONAL = torch.tensor([[[1.0, -1], [1, -1]], [[1, 1], [-1, -1]]])[None]


@pytest.mark.parametrize(
    ("weight", "least"),
    [
        ([[1.0, 0.0], [0.0, 3.0]], 1.0),
        ([[1.0, 0.0], [1.0, 1.0]], 1 - math.sqrt(0.5)),  # u and u + v
        ([[1.0, 0.0], [-2.0, 0.0]], 0.0),  # the same up to scale and sign
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 0.0),  # a constant channel
    ],
)
def test_least_eigenvalues_worked_by_hand(weight, least):
    # The map counts as the convolution's and as the stem's.
    assert float(meco(Point(weight), ORTHOGONAL)) == pytest.approx(2 * least, abs=1e-6)


def test_several_images_are_averaged():
    u, v = ORTHOGONAL[:, :1], ORTHOGONAL[:, 1:]
    images = torch.cat([torch.cat([u, v], dim=1), torch.cat([u, u + v], dim=1)])
    assert float(meco(Point([[1.0, 0.0], [0.0, 1.0]]), images)) == pytest.approx(2 * (1 + 1 - math.sqrt(0.5)) / 2)


def test_it_is_the_sum_over_published_modules():
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    network = SMALL.network(architecture).double().train()
    reference = Published(network, SMALL, architecture).train()
    total = []

    def add(values):
        correlations = np.corrcoef(values[0].flatten(1).numpy())
        total.append(np.linalg.eigvalsh(np.nan_to_num(correlations)).min())

    for module in reference.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.ReLU | nn.AvgPool2d | nn.Identity):
            module.register_forward_hook(lambda module, inputs, output: add(output))
    for layer in (reference.network.stem, *reference.network.trunk):
        layer.register_forward_hook(lambda layer, inputs, output: add(output))
        if hasattr(layer, "norm_a"):  # a reduction block, whose ReLUs are calls, and its pooling too
            layer.register_forward_pre_hook(lambda layer, inputs: add(inputs[0].relu()))
            layer.norm_a.register_forward_hook(lambda norm, inputs, output: add(output.relu()))
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad(), np.errstate(all="ignore"):
        reference(images)
    # Stem 3, head 2, reductions 2 * (5 layers, 2 ReLUs, the block), cells 3 * (4 * 3 and a skip, a pooling, the cell).
    assert len(total) == 3 + 2 + 2 * 8 + 3 * 15
    assert float(meco(network, images)) == pytest.approx(sum(total), rel=1e-9)


def test_few_channels_stand_for_all_of_them():
    # A single channel that varies has the eigenvalue 1, so that a map counts as often as it has channels.
    assert float(meco(Point([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), ORTHOGONAL, channels=1)) == pytest.approx(2 * 3)
    # Two of three channels: the pairs have 1 - |correlation| = 1 - 0.6, 1 - 0.8 and 1.
    net = Point([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]])
    possible = [2 * 3 / 2 * least for least in (0.4, 0.2, 1.0)]
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        found = float(meco(net, ORTHOGONAL, channels=2))
        seen.add(int(np.argmin(np.abs(np.subtract(possible, found)))))
        assert min(abs(one - found) for one in possible) < 1e-5
    assert seen == {0, 1, 2}
    assert float(meco(net, ORTHOGONAL, channels=3)) == float(meco(net, ORTHOGONAL))


def test_the_image_is_noise_of_its_own_size():
    images, _ = MeCo(task(size=8)).batch(0)
    assert images.shape == (1, 3, 64, 64)
    assert float(images.std()) == pytest.approx(1, abs=0.05)
    assert MeCo(task(), image_size=16).batch(0)[0].shape == (1, 3, 16, 16)


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="image_size is 0"):
        MeCo(task(), image_size=0)
    with pytest.raises(ValueError, match="channels is 0"):
        MeCo(task(), channels=0)
