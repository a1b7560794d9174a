"""The size of an architecture as a score: the baseline that every other estimator has to beat.

Bigger is scored higher. On NAS-Bench-201 multiply-adds and parameters rank about as well as many published scores
(Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", 2021, arXiv:2008.03064).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.network import multiply_adds, parameters
from search_spaces.space import SearchSpace
from supernet.estimators.base import Estimator


class Cost(Estimator):
    """Parameters or multiply-adds of the stand-alone network.

    Args:
        space: the space the architectures belong to.
        unit: ``parameters`` or ``multiply_adds``.
        size: height and width of the images; it matters for multiply-adds.
    """

    def __init__(self, space: SearchSpace, unit: Literal["parameters", "multiply_adds"], size: int = 32) -> None:
        if unit not in ("parameters", "multiply_adds"):
            raise ValueError(f"unit is {unit!r}: it must be 'parameters' or 'multiply_adds'")
        self.space = space
        self.unit = unit
        self.size = size

    def score(self, architectures: Sequence[Architecture]) -> Tensor:
        """See `Estimator.score`."""
        return torch.tensor([self._cost(architecture) for architecture in architectures], dtype=torch.float64)

    def _cost(self, architecture: Architecture) -> int:
        network = self.space.network(architecture)
        if self.unit == "parameters":
            return parameters(network)
        return multiply_adds(network, (self.space.in_channels, self.size, self.size))
