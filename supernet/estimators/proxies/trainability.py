"""AZ-NAS's trainability: whether each layer of a network passes gradients on as they are, neither larger nor smaller.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", 2024, arXiv:2403.19232.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.estimators.proxies.one_pass import Need, OnePass, Pass

EPSILON = 1e-6


class Trainability(OnePass):
    """How close the layers' Jacobians come to a spectral norm of 1, for noise and with Kaiming's variance."""

    input = "noise"
    initialisation = "kaiming_fan_in"
    needs: ClassVar[frozenset[Need]] = frozenset({"features", "jacobians"})

    def of(self, seen: Pass) -> float:
        """See `trainability`."""
        return float(trainability(seen.features))


def trainability(features: Sequence[Tensor]) -> Tensor:
    """``mean_l (2 - sigma_l - 1 / sigma_l)``: a scalar, 0 at best.

    A random cotangent ``g_l`` of entries +1 and -1 at the map ``f_l`` gives ``h_l = (df_l / df_{l-1})' g_l`` at the one
    before; ``sigma_l`` is the largest singular value of ``h_l' g_l / n``, channels by channels, over the ``n`` pixels
    of all images. As the entries of ``g_l`` are independent, this estimates the Jacobian from channels to channels.
    Where a layer makes the map smaller, the pixels of ``h_l`` that fall into one of ``g_l`` count as channels. A layer
    that is the identity gives minus infinity, as in the published code.

    Args:
        features: maps ``(batch, channels, h, w)`` in order, each computed from those before it, from `features`.
    """
    scores = []
    for before, after in itertools.pairwise(features):
        cotangent = torch.randint(0, 2, after.shape, device=after.device).to(after) * 2 - 1
        (gradient,) = torch.autograd.grad(after, before, cotangent, retain_graph=True, materialize_grads=True)
        if gradient.shape == cotangent.shape and torch.equal(gradient, cotangent):
            return after.new_tensor(-torch.inf)
        rows, columns = _pixels(_folded(gradient, after.shape)), _pixels(cotangent)
        sigma = torch.linalg.matrix_norm(rows.T @ columns / len(columns), ord=2)
        scores.append(2 - sigma - 1 / (sigma + EPSILON))
    return torch.stack(scores).mean()


def _folded(x: Tensor, shape: torch.Size) -> Tensor:
    """A larger map with the height and width of ``shape``, its neighbouring pixels as channels."""
    factor = -(-x.shape[2] // shape[2])
    if factor == 1:
        return x
    missing = (0, factor * shape[3] - x.shape[3], 0, factor * shape[2] - x.shape[2])
    return F.pixel_unshuffle(F.pad(x, missing), factor)


def _pixels(x: Tensor) -> Tensor:
    """``(batch, channels, h, w)`` to ``(batch * h * w, channels)``."""
    return x.movedim(1, -1).flatten(0, -2)
