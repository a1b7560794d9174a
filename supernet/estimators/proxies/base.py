"""The contract of training-free scores: fresh networks, declared conditions, and averages over several of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.network import Network
from supernet import seeds
from supernet.estimators.base import Measured, Task
from supernet.estimators.proxies.initialisation import Initialisation, initialise
from supernet.estimators.proxies.normalisation import Normalisation, normalised

Input = Literal["images", "noise", "ones"]
Built = TypeVar("Built", bound=nn.Module)
Measure = Callable[[nn.Module, Tensor, Tensor], tuple[float, ...] | float]
"""See `Proxy.measure`."""


class Proxy(Measured):
    """Scores an architecture by an untrained network of it.

    A subclass says under which conditions it looks (the attributes), and `measure` looks: always at a fresh network, in
    training mode and without an auxiliary head, which it may change at will. Architectures without a path from input to
    output score minus infinity, and so does whatever is not a number.

    Attributes:
        input: what the network is shown: ``images`` of the task, standard normal ``noise`` or ``ones`` of their size.
        uses_labels: whether the score depends on the labels.
        initialisation: how the weights are drawn, see `initialise`.
        normalisation: what batch norms normalise by, see `normalised`.
        dtype: the precision of network and images.

    Args:
        task: what is scored.
        batch_size: images in a batch.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
    """

    input: ClassVar[Input] = "images"
    uses_labels: ClassVar[bool] = False
    initialisation: ClassVar[Initialisation] = "default"
    normalisation: ClassVar[Normalisation] = "batch"
    dtype: ClassVar[torch.dtype] = torch.float32

    def __init__(self, task: Task, batch_size: int = 64, batches: int = 1, inits: int = 1) -> None:
        for name, value in (("batch_size", batch_size), ("batches", batches), ("inits", inits)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value}: it must be a whole number, at least 1")
        if self.input == "images" and batch_size > len(task.samples.labels):
            count = len(task.samples.labels)
            raise ValueError(
                f"batch_size is {batch_size}, but there are {count} images; give the estimator a batch_size of at most "
                f"{count}: estimator.batch_size={count}, selection.estimator.batch_size={count}, or "
                f"warm_start.estimator.batch_size={count}"
            )
        self.task = task
        self.batch_size = batch_size
        self.batches = batches
        self.inits = inits

    @abstractmethod
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, ...] | float:
        """A number for each of `names` (a bare one for one), higher is better.

        Args:
            network: from images to logits; a `Network`, or one with its mixing weights (`Mixed`). It is nobody else's.
            images: ``(batch, channels, h, w)``.
            labels: ``(batch,)``.
        """

    def part(self, network: nn.Module) -> nn.Module:
        """What of a fresh network is measured: all of it unless overridden, which may change it."""
        return network

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        if not self.task.space.is_valid(architecture):
            return (-math.inf,) * len(self.names)
        return self.average(lambda: self.task.space.network(architecture))

    def average(
        self,
        build: Callable[[], Built],
        look_at: Callable[[Built], nn.Module] = lambda network: network,
        measure: Measure | None = None,
    ) -> tuple[float, ...]:
        """The mean measurements of networks that ``build`` gives, over initialisations and batches.

        Networks of the same form get the same weights, and all the same images: a function of the seed. ``look_at``
        makes of a network with its weights what is measured, such as a part of it. ``measure`` may take the place of
        `Proxy.measure`.
        """
        measure = self.measure if measure is None else measure
        rows: list[tuple[float, ...]] = []
        device, seed = self.task.device, self.task.seed
        cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            for init in range(self.inits):
                for number in range(self.batches):
                    torch.manual_seed(seeds.derive(seed, seeds.SCORE, init))
                    network = build()
                    without_auxiliary_heads(network)
                    initialise(network, self.initialisation)
                    seen = self.part(look_at(network)).to(device, self.dtype).train()
                    torch.manual_seed(seeds.derive(seed, seeds.SCORE, init, number))
                    images, labels = self.batch(number)
                    with torch.enable_grad(), normalised(self.normalisation):
                        found = measure(seen, images, labels)
                    rows.append(found if isinstance(found, tuple) else (found,))
        means = [sum(value / len(rows) for value in column) for column in zip(*rows, strict=True)]
        return tuple(mean if math.isfinite(mean) else -math.inf for mean in means)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Batch ``number`` of what networks are shown. What are not images gets labels in turn."""
        if self.input == "images":
            images, labels = self.task.samples.batch(self.batch_size, number, self.task.device)
            return images.to(self.dtype), labels
        shape = (self.batch_size, *self.task.samples.image)
        labels = torch.arange(self.batch_size) % self.task.samples.num_classes
        noise = self.input == "noise"
        images = torch.randn(shape).to(memory_format=torch.channels_last) if noise else torch.ones(shape)
        return images.to(self.task.device, self.dtype), labels.to(self.task.device)


def without_auxiliary_heads(network: nn.Module) -> None:
    """Take away what helps to train a network and is no part of it afterwards."""
    for module in network.modules():
        if isinstance(module, Network):
            module.auxiliary = None
