"""SWAP: how many different patterns the units of a network make over a few images.

Peng, Song, Fayek, Ciesielski and Chang, "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS", 2024,
arXiv:2403.04161.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.network import parameters
from supernet.estimators.base import Task
from supernet.estimators.proxies.activations import activations
from supernet.estimators.proxies.base import Proxy

MOST_IMAGES = 63  # a pattern is kept in the bits of one integer


class SWAP(Proxy):
    """The number of activation patterns, on request damped where a network is not as large as wanted.

    Args:
        task: what is scored.
        batch_size: images in a batch; a pattern has one bit for each.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        mu: thousands of parameters that are wanted; None for any number.
        sigma: how far the number may be from that, squared thousands.
    """

    initialisation = "normal"

    def __init__(
        self,
        task: Task,
        batch_size: int = 32,
        batches: int = 1,
        inits: int = 32,
        mu: float | None = None,
        sigma: float | None = None,
    ) -> None:
        super().__init__(task, batch_size, batches, inits)
        if batch_size > MOST_IMAGES:
            raise ValueError(f"batch_size is {batch_size}: patterns over at most {MOST_IMAGES} images can be counted")
        if (mu is None) != (sigma is None):
            raise ValueError("mu and sigma belong together: give both or neither")
        if sigma is not None and sigma <= 0:
            raise ValueError(f"sigma is {sigma}: it must be positive")
        self.mu = mu
        self.sigma = sigma

    @torch.no_grad()
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `patterns` and `size_factor`."""
        found = float(patterns(network, images))
        if self.mu is None or self.sigma is None:
            return found
        return found * size_factor(parameters(network), self.mu, self.sigma)


def patterns(network: nn.Module, images: Tensor) -> Tensor:
    """The number of different columns of the matrix ``(images, units)`` that says which ReLU is active for what image.

    A unit is an entry of the output of a ReLU on feature maps; at most 63 images. An integer scalar.
    """
    bits = 2 ** torch.arange(len(images), device=images.device)
    codes = [
        ((activation.values > 0).flatten(1) * bits[:, None]).sum(dim=0).unique()
        for activation in activations(network, images)[1]
        if activation.values.dim() == 4
    ]
    return images.new_tensor(len(torch.cat(codes).unique()), dtype=torch.long)


def size_factor(count: int, mu: float, sigma: float) -> float:
    """``exp(-(count / 1000 - mu)^2 / sigma)`` for a network of so many parameters."""
    return math.exp(-((count / 1000 - mu) ** 2) / sigma)
