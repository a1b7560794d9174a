import math

import pytest
import torch
from torch import nn

from supernet import seeds
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.proxies.zen import Zen, pooled, zen
from tests.supernet.estimators.proxies.references import TEXT, pair
from tests.supernet.estimators.tasks import SMALL, task


class OneConvolution(nn.Module):
    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(4, eps=1e-12) if norm else nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.pool(self.norm(self.conv(x))).flatten(1)


def test_a_batch_norm_takes_away_and_gives_back_the_scale_of_its_input():
    # Without a batch norm the score follows the scale of the weights; with one the sum of log variances restores it.
    torch.manual_seed(0)
    network = OneConvolution(norm=True).double().train()
    images, noise = torch.randn(2, 5, 3, 8, 8, dtype=torch.float64)
    score = zen(network, images, noise)
    network.conv.weight.data *= 10
    torch.testing.assert_close(zen(network, images, noise), score + torch.tensor(10.0, dtype=torch.float64).log())


def test_a_linear_network_changes_as_its_convolution_does():
    torch.manual_seed(0)
    network = OneConvolution(norm=True).double().train()
    images, noise = torch.randn(2, 5, 3, 8, 8, dtype=torch.float64)
    with normalised("identity"), torch.no_grad():
        change = network.conv(0.01 * noise).abs().flatten(1).sum(1).mean().log()
        variances = network.conv(images).transpose(0, 1).flatten(1).var(dim=1)
        network.norm.running_var.copy_(variances)
        assert float(zen(network, images, noise)) == pytest.approx(float(change + variances.mean().sqrt().log()))


def test_features_are_those_before_the_global_pooling():
    network, _, images, _ = pair()
    with torch.no_grad():
        assert pooled(network, images).shape == (6, 16, 2, 2)
        torch.testing.assert_close(network.head[-1](pooled(network, images).mean(dim=(2, 3))), network(images))


def test_weights_and_images_are_standard_normal_numbers():
    (score,) = Zen(task(), batch_size=4).measurements(SMALL.parse(TEXT))
    torch.manual_seed(seeds.derive(0, seeds.SCORE, 0))
    network = SMALL.network(SMALL.parse(TEXT)).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            copies = getattr(module, "copies", 1)
            for part in module.weight.data.unflatten(0, (copies, -1)):
                nn.init.normal_(part)
    torch.manual_seed(seeds.derive(0, seeds.SCORE, 0, 0))
    images = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        assert score == pytest.approx(float(zen(network, images, torch.randn_like(images))), rel=1e-5)


def test_an_operation_that_nothing_reaches_does_not_count():
    dead, absent = (
        SMALL.parse(f"|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|{one}~1|nor_conv_3x3~2|")
        for one in ("nor_conv_3x3", "none")
    )
    scores = []
    for architecture in (dead, absent):
        torch.manual_seed(0)
        network = SMALL.network(architecture).train()
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.constant_(module.weight, 0.1)
        images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        noise = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            scores.append(float(zen(network, images, noise)))
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    (score,) = Zen(task(), batch_size=4).measurements(dead)
    assert math.isfinite(score)
