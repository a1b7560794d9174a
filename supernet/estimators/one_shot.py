"""One-shot accuracy: that of an architecture with the weights it has in a trained supernet.

Guo, Zhang, Mu, Heng, Liu, Wei and Sun, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (SPOS),
2020, arXiv:1904.00420, section 3.3: batch norm's statistics are those of a mixture, and are taken anew for every
architecture before it is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.network import Network
from supernet.estimators.base import Estimator

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Begins a pass over batches of images and labels; every pass should give the same."""


class OneShotAccuracy(Estimator):
    """The share of images that an architecture with inherited weights gets right.

    Args:
        inherited: builds the network of an architecture with the supernet's weights, to be changed at will.
        recalibration: training images for the statistics of batch norm, in batches of equal size.
        evaluation: held-out images.
    """

    def __init__(
        self, inherited: Callable[[Architecture], Network], recalibration: Batches, evaluation: Batches
    ) -> None:
        self.inherited = inherited
        self.recalibration = recalibration
        self.evaluation = evaluation

    def score(self, architectures: Sequence[Architecture]) -> Tensor:
        """See `Estimator.score`: accuracies between 0 and 1."""
        return torch.tensor([self._accuracy(architecture) for architecture in architectures], dtype=torch.float64)

    @torch.no_grad()
    def _accuracy(self, architecture: Architecture) -> float:
        network = self.inherited(architecture)
        recalibrate(network, (images for images, _ in self.recalibration()))
        hits = [network(images).argmax(dim=1) == labels for images, labels in self.evaluation()]
        if not hits:
            raise ValueError("there are no images to evaluate on")
        return float(torch.cat(hits).double().mean())


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
