"""Independent sigmoid gates: the operations of an edge do not compete.

Chu, Zhou, Zhang and Li, "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", 2020,
arXiv:1911.12126.
"""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.relaxations.base import Relaxation


class Sigmoid(Relaxation):
    """``p[e, o] = 1 / (1 + exp(-alpha[e, o]))`` on the allowed operations.

    Args:
        zero_one_weight: how strongly the zero-one loss drives the gates to 0 or 1; see `penalty`.
    """

    rows_sum_to_one = False

    def __init__(self, zero_one_weight: float = 10.0) -> None:
        super().__init__()
        if not zero_one_weight >= 0:
            raise ValueError(f"zero_one_weight is {zero_one_weight}: it must not be negative")
        self.zero_one_weight = zero_one_weight

    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """See `Relaxation.forward`."""
        return alpha.sigmoid() * allowed

    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The same as `forward`: nothing is random."""
        return self(alpha, allowed)

    def inverse(self, weights: Tensor) -> Tensor:
        """``log(w / (1 - w))``, with w kept off 0 and 1; rows need not sum to one."""
        return weights.logit(eps=torch.finfo(weights.dtype).eps)

    def penalty(self, alpha: Tensor, allowed: Tensor, start: Tensor | None = None) -> Tensor:
        """``zero_one_weight * L01`` with ``L01 = -mean (sigmoid(alpha) - 0.5)^2`` over the allowed operations.

        Never positive: zero where all gates are half open, ``-zero_one_weight / 4`` where all are open or shut. The
        paper's mean is over all cell types together; with n of equal size, the sum of their penalties is n times that.
        """
        squares = (alpha.sigmoid() - 0.5).square() * allowed
        return -self.zero_one_weight * squares.sum() / allowed.sum().clamp_min(1)
