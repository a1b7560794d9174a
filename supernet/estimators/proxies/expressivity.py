"""AZ-NAS's expressivity: how evenly the features of a network fill their channels.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", 2024, arXiv:2403.19232.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from supernet.estimators.proxies.one_pass import Need, OnePass, Pass


class Expressivity(OnePass):
    """The sum of the entropies of all feature maps, of noise in a network that is drawn with Kaiming's variance."""

    input = "noise"
    initialisation = "kaiming_fan_in"
    needs: ClassVar[frozenset[Need]] = frozenset({"features"})

    def of(self, seen: Pass) -> float:
        """See `entropies`."""
        return float(seen.once(entropies).sum())


def entropies(features: Sequence[Tensor]) -> Tensor:
    """``s_l = -sum_c p_c log p_c`` of each feature map, in float64: ``(maps,)``.

    ``p`` are the eigenvalues of the covariance of a map's channels over images and pixels, as shares of their sum. A
    map without variance, or with values that are not finite, has no entropy: not a number.

    Args:
        features: maps ``(batch, channels, h, w)``, from `features`.
    """
    found = []
    for feature in features:
        channels = feature.detach().transpose(0, 1).flatten(1)
        covariance = torch.cov(channels, correction=0).reshape(len(channels), len(channels))
        if not bool(covariance.isfinite().all()):  # the solver would fail
            found.append(covariance.new_full((), torch.nan, dtype=torch.float64))
            continue
        eigenvalues = torch.linalg.eigvalsh(covariance.double()).clamp_min(0)
        found.append(torch.special.entr(eigenvalues / eigenvalues.sum()).sum())
    return torch.stack(found)
