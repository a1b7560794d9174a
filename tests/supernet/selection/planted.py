"""Scores with a known truth, for searches that need no training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from search_spaces.nasbench201 import CELL
from supernet.estimators.base import Measured
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.supernets import Mixed

CONV = 3


class Convolutions(Measured):
    """The number of 3x3 convolutions of an architecture of NAS-Bench-201, and what was asked for."""

    def __init__(self, task) -> None:
        self.task = task
        self.asked: list = []

    def measurements(self, architecture) -> tuple[float, ...]:
        self.asked.append(architecture)
        return (float(architecture[CELL].count(CONV)),)


class Ranked(Convolutions):
    """Of all architectures that are scored together the place among them: the score of one depends on the others."""

    names = ("convolutions", "skips")

    def measurements(self, architecture) -> tuple[float, ...]:
        return (*super().measurements(architecture), float(architecture[CELL].count(1)))

    def combine(self, measurements: Tensor) -> Tensor:
        return measurements[:, 0].argsort().argsort().double() / len(measurements)


class Scoreless(Convolutions):
    """No architecture has a finite score."""

    def measurements(self, architecture) -> tuple[float, ...]:
        return (-math.inf if architecture[CELL][0] else math.nan,)


class OfMixture(Proxy):
    """A function of the mixing weights of a supernet, or of an architecture's one-hot ones.

    ``seen`` gets every network that is looked at.
    """

    input = "noise"

    def __init__(self, task, function: Callable[[Mapping[str, Tensor]], float], seen: list | None = None) -> None:
        super().__init__(task, batch_size=1)
        self.function = function
        self.seen = seen

    def measure(self, network, images, labels) -> float:
        assert isinstance(network, Mixed)
        if self.seen is not None:
            self.seen.append(network)
        return float(self.function(network.weights))

    def measurements(self, architecture) -> tuple[float, ...]:
        return (float(self.function(architecture.one_hot(self.task.space.operations, torch.float64))),)


def score_of_mixture(proxy: OfMixture, weights: Mapping[str, Tensor]) -> float:
    """In the place of `supernet_score`: the same without any network, which takes long to build."""
    return float(proxy.function(weights))


def worth(space, seed: int = 0) -> dict[str, Tensor]:
    """What each operation is worth on each edge, all different."""
    generator = torch.Generator().manual_seed(seed)
    return {cell: torch.rand(table.shape, generator=generator) for cell, table in space.allowed.items()}


def total(tables: Mapping[str, Tensor]) -> Callable[[Mapping[str, Tensor]], float]:
    """The sum of what a mixture's operations are worth."""
    return lambda weights: sum(float((table * weights[cell]).sum()) for cell, table in tables.items())
