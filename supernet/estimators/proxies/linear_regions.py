"""TE-NAS's linear regions: into how many pieces the ReLUs of a cell divide the space of tiny inputs.

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective",
2021, arXiv:2102.11535, and its code. On one piece a network is a linear function; more of them are more expressive.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.cell import Cell
from search_spaces.network import Network
from supernet.estimators.base import Task
from supernet.estimators.proxies.activations import activations
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.supernets import Mixed

SIZE = 3  # pixels, the height and width of the inputs
IMAGES = 1000  # the most images that inputs are cut from


class LinearRegions(Proxy):
    """The number of linear regions of very thin cells that small pieces of images fall into.

    The inputs are random crops of one random channel of the images; images that are fewer than the inputs give several.
    What looks at them is the beginning of the network, as far as to the first cell of each type, without its stem, and
    a ReLU at the end: a whole network would tell nearly every two inputs apart.

    Args:
        task: what is scored.
        batch_size: inputs; their number is the largest score.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        parts: of a batch, which pass through the network one after another and are normalised by themselves.
        channels: of the networks, which are as short as the space allows; None for the space's own networks.
    """

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
        super().__init__(task, min(batch_size, IMAGES, len(task.samples.labels)), batches, inits)
        if not 1 <= parts <= batch_size // 2:
            raise ValueError(f"parts is {parts}: a batch of {batch_size} can be divided into 1 to {batch_size // 2}")
        self.inputs = batch_size
        self.parts = parts

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """See `Proxy.batch`: pieces ``(inputs, 1, 3, 3)`` of images and their labels."""
        images, labels = super().batch(number)
        which = torch.arange(self.inputs) % len(images)
        return pieces(images, which), labels[which.to(labels.device)]

    def part(self, network: nn.Module) -> nn.Module:
        """See `Proxy.part` and `keep_beginning`."""
        inner = network.network if isinstance(network, Mixed) else network
        assert isinstance(inner, Network)
        keep_beginning(inner, torch.zeros(2, *self.task.samples.image))
        return network

    @torch.no_grad()
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `linear_regions`."""
        return float(linear_regions(network, images, self.parts))


def pieces(images: Tensor, which: Tensor) -> Tensor:
    """A random piece ``(1, 3, 3)`` of one channel of each of these images; smaller images are continued with zeros."""
    channels, height, width = images.shape[1:]
    images = F.pad(images, (0, max(0, SIZE - width), 0, max(0, SIZE - height)))
    windows = images.unfold(2, SIZE, 1).unfold(3, SIZE, 1)
    places = [torch.randint(most, which.shape) for most in (channels, *windows.shape[2:4])]
    return windows[tuple(index.to(images.device) for index in (which, *places))].unsqueeze(1)


def keep_beginning(network: Network, image: Tensor) -> None:
    """Leave of a network the cells up to where each type has come once, and a ReLU behind them.

    Args:
        network: is changed.
        image: any images of the kind that it takes, ``(batch, channels, h, w)``.
    """
    first: dict[str, int] = {}
    for index, layer in enumerate(network.trunk):
        if isinstance(layer, Cell):
            first.setdefault(layer.cell_type, index)
    width = network.stem(image).shape[1]
    network.stem, network.head = Repeated(width), LastReLU()
    network.trunk = network.trunk[: 1 + max(first.values())]
    network.auxiliary = None


class Repeated(nn.Module):
    """What has one channel with many, which are all the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, 1, h, w)`` to ``(batch, channels, h, w)``."""
        return x.expand(-1, self.channels, -1, -1)


class LastReLU(nn.Module):
    """Normalises by the batch, as the head of the published networks begins."""

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, h, w)`` to the same shape."""
        return torch.relu(F.batch_norm(x, None, None, training=True))


def linear_regions(network: nn.Module, images: Tensor, parts: int = 1) -> int:
    """How many different patterns of active units there are among the images, all ReLUs of the network together."""
    codes = []
    for some in images.tensor_split(parts):
        found = activations(network, some)[1]
        codes.append(torch.cat([(activation.values > 0).flatten(1) for activation in found], dim=1))
    return len(torch.unique(torch.cat(codes), dim=0))
