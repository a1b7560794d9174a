"""Softmax over the operations of an edge.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", 2019, arXiv:1806.09055, equation 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.relaxations.base import Relaxation


class Softmax(Relaxation):
    """``p[e, o] = exp(alpha[e, o]) / sum_o' exp(alpha[e, o'])`` over the allowed operations."""

    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """See `Relaxation.forward`."""
        # A large negative number, not -inf: an edge without operations then gives zeros and a zero gradient, not NaN.
        masked = alpha.masked_fill(~allowed, torch.finfo(alpha.dtype).min)
        return masked.softmax(dim=-1) * allowed

    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The same as `forward`: nothing is random."""
        return self(alpha, allowed)

    def inverse(self, weights: Tensor) -> Tensor:
        """``log weights``, with rows of mean zero."""
        logits = weights.clamp_min(torch.finfo(weights.dtype).tiny).log()
        return logits - logits.mean(dim=-1, keepdim=True)
