"""Effective dimension: in how many directions the images of a batch move the weights of each layer.

The number of eigenvalues of a kernel that a ridge does not hide (Zhang, 2005, "Learning Bounds for Kernel Regression
Using Effective Data Dimensionality"), here of the neural tangent kernel of each layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.gram_statistic import GramStatistic
from supernet.estimators.proxies.sample_gradients import logit_sums

RIDGE = 0.01  # relative to the mean eigenvalue


class EffectiveDimension(GramStatistic):
    """The effective dimension of the gradients of the sum of logits, summed over layers."""

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `effective_dimension`."""
        return float(effective_dimension(self.grams(network, images, logit_sums)))


def effective_dimension(grams: Sequence[Tensor]) -> Tensor:
    """``D = sum_l sum_k lambda_k / (lambda_k + 0.01 mean_k lambda_k)``: a scalar.

    ``lambda_k`` are the eigenvalues of ``K_l (batch, batch)``, from `layer_grams`. A layer adds at most the number of
    images, and nothing where it has no gradients. Not a number where a gradient is not finite.
    """
    total = grams[0].new_zeros(())
    for gram in grams:
        if not bool(gram.isfinite().all()):
            return torch.full_like(total, torch.nan)
        mean = gram.diagonal().mean()
        if bool(mean > 0):
            values = torch.linalg.eigvalsh(gram / mean).clamp_min(0)
            total = total + (values / (values + RIDGE)).sum()
    return total
