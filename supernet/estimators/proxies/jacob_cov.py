"""Jacobian covariance: how differently the network reacts to different images.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", first version, 2020,
arXiv:2006.04647v1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.one_pass import Need, OnePass, Pass

EPSILON = 1e-5


class JacobCov(OnePass):
    """The spectrum of the correlations between the images' input gradients."""

    needs: ClassVar[frozenset[Need]] = frozenset({"input_gradients"})

    def __init__(self, task: Task, batch_size: int = 64, batches: int = 1, inits: int = 1) -> None:
        super().__init__(task, batch_size, batches, inits)
        check_several(batch_size)

    def of(self, seen: Pass) -> float:
        """See `jacobian_score`; the rows are the images' input gradients."""
        return float(jacobian_score(seen.input_gradients))


class FrozenJacobCov(Proxy):
    """The same of images that do not share a batch norm, whose statistics are those of the batch and constants.

    Where the last operations end in a batch norm and are then averaged over the pixels, as in the spaces of DARTS and
    RobustDARTS, the sum of a batch's logits is constant in the published score, and its gradient rounding errors.
    """

    def __init__(self, task: Task, batch_size: int = 64, batches: int = 1, inits: int = 1) -> None:
        super().__init__(task, batch_size, batches, inits)
        check_several(batch_size)

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `jacobian_score`; the rows are the images' input gradients."""
        with torch.no_grad():
            frozen_statistics(network, images)
        images = images.detach().clone().requires_grad_()
        (rows,) = torch.autograd.grad(network(images).sum(), images)
        return float(jacobian_score(rows.flatten(1)))


def check_several(batch_size: int) -> None:
    """Raise ValueError for a batch of one image."""
    if batch_size < 2:
        raise ValueError(f"batch_size is {batch_size}: correlations between images need at least two")


def jacobian_score(rows: Tensor) -> Tensor:
    """``-sum_i (log(v_i + 1e-5) + 1 / (v_i + 1e-5))``, v the eigenvalues of the correlation matrix of the rows.

    Computed in float64; eigenvalues that rounding made negative count as zero. Not a number where a row is constant.
    """
    correlation = torch.corrcoef(rows.detach().double())
    if not bool(correlation.isfinite().all()):  # the solver may fail
        return correlation.new_full((), torch.nan)
    values = torch.linalg.eigvalsh(correlation).clamp_min(0.0)
    return -((values + EPSILON).log() + 1 / (values + EPSILON)).sum()
