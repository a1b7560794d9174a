"""AZ-NAS's progressivity: whether each layer of a network adds to what its features express.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", 2024, arXiv:2403.19232.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from supernet.estimators.proxies.base import Input
from supernet.estimators.proxies.expressivity import entropies
from supernet.estimators.proxies.initialisation import Initialisation
from supernet.estimators.proxies.one_pass import Need, OnePass, Pass


class Progressivity(OnePass):
    """The least gain of entropy from a feature map to the next, as published: of noise and with Kaiming's variance."""

    input: ClassVar[Input] = "noise"
    initialisation: ClassVar[Initialisation] = "kaiming_fan_in"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})

    def of(self, seen: Pass) -> float:
        """See `least_gain`."""
        return float(least_gain(seen.once(entropies)))


class ProgressivityOnImages(Progressivity):
    """The same of images, in a network as its layers draw themselves; for networks of few layers.

    In a deep one the entropy of images hardly changes from cell to cell, and the least gain says little: on
    NAS-Bench-201 Kendall's tau with the accuracy on CIFAR-10 was 0.65 with one cell a stage and 0.37 with five (60
    architectures).
    """

    input = "images"
    initialisation = "default"


def progressivity(features: Sequence[Tensor]) -> Tensor:
    """``min_l (s_{l+1} - s_l)`` with the `entropies` ``s`` of the feature maps: a scalar in float64."""
    return least_gain(entropies(features))


def least_gain(entropies: Tensor) -> Tensor:
    """``min_l (s_{l+1} - s_l)``: a scalar."""
    return entropies.diff().min()
