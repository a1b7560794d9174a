import math

import numpy as np
import pytest
import torch
from torch import nn

from supernet.estimators.proxies.swap import SWAP, patterns, size_factor
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_patterns_worked_by_hand():
    images = torch.tensor([[3.0, 2.0, -1.0, 5.0, -2.0], [1.0, -1.0, 4.0, 6.0, 0.0], [2.0, -3.0, -1.0, 7.0, -9.0]])
    # By unit: always, first image only, second image only, always again, never. The next ReLU sees the negated units:
    # never, the others, the others, never, first and third but not the second, whose 0 is not active.
    images = images[:, None, None, :]

    class Units(nn.Module):
        def forward(self, x):
            return torch.cat([x.relu(), (-x).relu()], dim=1).flatten(1)

    ways = {(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0)} | {(0, 0, 0), (0, 1, 1), (1, 0, 1)}
    assert int(patterns(Units(), images)) == len(ways) == 6


def test_they_are_the_different_columns_over_the_relus_of_published_modules():
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    network = SMALL.network(architecture).train()
    reference, images = Published(network, SMALL, architecture), task().samples.batch(5)[0]
    codes = []

    def add(values):
        codes.append((values > 0).flatten(1).numpy())

    for module in reference.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, inputs, output: add(output))
        if hasattr(module, "norm_a"):  # a reduction block, whose ReLUs are calls
            module.register_forward_pre_hook(lambda module, inputs: add(inputs[0]))
            module.norm_a.register_forward_hook(lambda module, inputs, output: add(output))
    with torch.no_grad():
        reference(images)
        ours = int(patterns(network, images))
    assert ours == np.unique(np.concatenate(codes, axis=1), axis=1).shape[1]
    assert 2 < ours <= 2**5


def test_as_many_images_as_an_integer_has_bits_can_be_told_apart():
    class Units(nn.Module):
        def forward(self, x):
            return x.relu()

    images = torch.eye(63)[:, :, None, None]  # each unit is active for an image of its own
    assert int(patterns(Units(), images)) == 63
    with pytest.raises(ValueError, match="at most 63 images"):
        SWAP(task(), batch_size=64)


def test_networks_that_are_not_as_large_as_wanted_count_less():
    assert size_factor(40_000, 40, 5) == 1
    assert size_factor(43_000, 40, 5) == size_factor(37_000, 40, 5) == pytest.approx(math.exp(-9 / 5))
    architecture = SMALL.parse(TEXT)
    count = sum(parameter.numel() for parameter in SMALL.network(architecture).parameters())
    plain, damped = (
        SWAP(task(), batch_size=5, inits=1, **more).measurements(architecture)[0]
        for more in ({}, {"mu": 1.0, "sigma": 2.0})
    )
    assert damped == pytest.approx(plain * math.exp(-((count / 1000 - 1) ** 2) / 2))
    with pytest.raises(ValueError, match="belong together"):
        SWAP(task(), mu=1.0)
    with pytest.raises(ValueError, match="sigma is 0"):
        SWAP(task(), mu=1.0, sigma=0)
