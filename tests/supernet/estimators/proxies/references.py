"""A small network as published code builds it, for independent references of scores."""

from __future__ import annotations

from torch import nn

from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def pair(text: str = TEXT, size: int = 6):
    """A network and its published form in float64, with the same weights; images and labels."""
    architecture = SMALL.parse(text)
    network = SMALL.network(architecture).double().train()
    reference = Published(network, SMALL, architecture).double().train()
    images, labels = task().samples.batch(size)
    return network, reference, images.double(), labels


def layers(network: nn.Module) -> list[nn.Module]:
    """Its convolutions and linear layers."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
