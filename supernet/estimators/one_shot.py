"""One-shot scores: those of an architecture with the weights it has in a trained supernet.

Guo, Zhang, Mu, Heng, Liu, Wei and Sun, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (SPOS),
2020, arXiv:1904.00420, section 3.3: batch norm's statistics are those of a mixture, and are taken anew for every
architecture before it is judged. The mean over several checkpoints, and the loss in place of the accuracy, are from
Ning, Tang, Li, Zhou, Yang and Wang, "Evaluating Efficient Performance Estimators of Neural Architectures", 2021,
arXiv:2008.03064.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from supernet.estimators.base import Measured
from supernet.seeds import SCORE, derive, global_generator

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Begins a pass over batches of images and labels; every pass should give the same."""
Metric = Literal["accuracy", "loss"]
MEASURES: tuple[Metric, ...] = ("accuracy", "loss")


class OneShot(Measured):
    """The accuracy of an architecture with inherited weights, or minus its loss, averaged over several supernets.

    Both are measured of every supernet; the metric says which is the score.

    Args:
        supernets: by name, what builds the network of an architecture with a supernet's weights, to be changed at will.
            A single one needs no name (``""``).
        evaluation: held-out images.
        recalibration: training images for the statistics of batch norm, in batches of equal size; None for those that
            are inherited.
        metric: ``accuracy`` or ``loss``, the cross-entropy.
        seed: of operations that are random themselves.

    Attributes:
        labels: of the images that the supernet was trained on, where these are not those of the task.
    """

    labels: Tensor | None = None

    def __init__(
        self,
        supernets: Mapping[str, Callable[[Architecture], nn.Module]],
        evaluation: Batches,
        recalibration: Batches | None = None,
        metric: Metric = "accuracy",
        seed: int = 0,
    ) -> None:
        if metric not in MEASURES:
            raise ValueError(f"metric is {metric!r}: it must be one of {', '.join(MEASURES)}")
        self.supernets = dict(supernets)
        self.evaluation = evaluation
        self.recalibration = recalibration
        self.metric = metric
        self.seed = seed
        self.names = tuple(f"{one}_{name}" if name else one for name in self.supernets for one in MEASURES)

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`: accuracy (0 to 1) and loss with the weights of each supernet."""
        return tuple(value for build in self.supernets.values() for value in self._judged(build(architecture)))

    def combine(self, measurements: Tensor) -> Tensor:
        """See `Measured.combine`: the mean of `estimates`."""
        return self.estimates(measurements).mean(dim=1)

    def estimates(self, measurements: Tensor) -> Tensor:
        """What each supernet says ``(architectures, supernets)``, higher is better."""
        values = measurements.unflatten(1, (-1, len(MEASURES)))[..., MEASURES.index(self.metric)]
        return -values if self.metric == "loss" else values

    def _judged(self, network: nn.Module) -> tuple[float, float]:
        device = next(network.parameters()).device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            global_generator(device).manual_seed(derive(self.seed, SCORE))
            if self.recalibration is None:
                network.eval()
            else:
                recalibrate(network, (images for images, _ in self.recalibration()))
            return judged(network, self.evaluation())


@torch.no_grad()
def judged(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """The share of images that a network gets right, and its mean cross-entropy.

    Raises ValueError where there is no batch.
    """
    hits, losses = [], []
    for images, labels in batches:
        logits = network(images)
        hits.append(logits.argmax(dim=1) == labels)
        losses.append(F.cross_entropy(logits, labels, reduction="none"))
    if not hits:
        raise ValueError("there are no images to evaluate on")
    return float(torch.cat(hits).double().mean()), float(torch.cat(losses).double().mean())


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace batch norm's running statistics by the mean of those of these batches, and turn to evaluation mode.

    Raises ValueError where there is no batch.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in norms]
    network.train()
    number = 0
    for number, images in enumerate(batches, start=1):
        for layer in norms:
            layer.momentum = 1 / number  # makes the running average that of all batches so far
        network(images)
    if not number:
        raise ValueError("there are no images to recalibrate batch norm on")
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    network.eval()
