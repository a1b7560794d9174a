"""TE-NAS's linear regions: into how many pieces the ReLUs of a network divide the space of tiny inputs.

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective",
2021, arXiv:2102.11535. On one piece a network is a linear function; more of them are more expressive.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.activations import activations
from supernet.estimators.proxies.base import Proxy

SIZE = 3  # pixels, the height and width of the inputs


class LinearRegions(Proxy):
    """The number of linear regions of a very thin network that random inputs fall into.

    The published code takes its inputs from random crops of images; these are normal noise of that size.

    Args:
        task: what is scored.
        batch_size: inputs; their number is the largest score.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        parts: of a batch, which pass through the network one after another and are normalised by themselves.
        channels: of the networks, which are as short as the space allows; None for the space's own networks.
    """

    input = "noise"
    initialisation = "kaiming_fan_in"

    def __init__(
        self,
        task: Task,
        batch_size: int = 3000,
        batches: int = 1,
        inits: int = 1,
        parts: int = 3,
        channels: int | None = 1,
    ) -> None:
        if channels is not None:
            task = replace(task, space=task.space.thin(channels))
        super().__init__(task, batch_size, batches, inits)
        if not 1 <= parts <= batch_size // 2:
            raise ValueError(f"parts is {parts}: a batch of {batch_size} can be divided into 1 to {batch_size // 2}")
        self.parts = parts

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """See `Proxy.batch`; noise of 3 by 3 pixels."""
        images = torch.randn(self.batch_size, self.task.space.in_channels, SIZE, SIZE)
        labels = torch.arange(self.batch_size) % self.task.samples.num_classes
        return images.to(self.task.device, self.dtype), labels.to(self.task.device)

    @torch.no_grad()
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `linear_regions`."""
        return float(linear_regions(network, images, self.parts))


def linear_regions(network: nn.Module, images: Tensor, parts: int = 1) -> int:
    """How many different patterns of active units there are among the images, all ReLUs of the network together."""
    codes = []
    for some in images.tensor_split(parts):
        found = activations(network, some)[1]
        codes.append(torch.cat([(activation.values > 0).flatten(1) for activation in found], dim=1))
    return len(torch.unique(torch.cat(codes), dim=0))
