"""Jacobian covariance: how differently the network reacts to different images.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", first version, 2020,
arXiv:2006.04647v1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy

EPSILON = 1e-5


class JacobCov(Proxy):
    """The spectrum of the correlations between the images' input gradients."""

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `jacob_cov`."""
        return float(jacob_cov(network, images))


def jacob_cov(network: nn.Module, images: Tensor) -> Tensor:
    """`jacobian_score` of `input_gradients`: a scalar."""
    return jacobian_score(input_gradients(network, images))


def input_gradients(network: nn.Module, images: Tensor) -> Tensor:
    """The gradient of the sum of all logits for each image ``(batch, channels * h * w)``."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network(images).sum(), images)
    return gradient.flatten(1)


def jacobian_score(rows: Tensor) -> Tensor:
    """``-sum_i (log(v_i + 1e-5) + 1 / (v_i + 1e-5))``, v the eigenvalues of the correlation matrix of the rows.

    Computed in float64; eigenvalues that rounding made negative count as zero. Not a number where a row is constant.
    """
    correlation = torch.corrcoef(rows.detach().double())
    if not bool(correlation.isfinite().all()):  # the solver may fail
        return correlation.new_full((), torch.nan)
    values = torch.linalg.eigvalsh(correlation).clamp_min(0.0)
    return -((values + EPSILON).log() + 1 / (values + EPSILON)).sum()
