"""Mixing weights sampled from a Dirichlet distribution whose concentration is learnt.

Chen, Wang, Cheng, Tang and Hsieh, "DrNAS: Dirichlet Neural Architecture Search", 2021, arXiv:2006.10355. The gradient
of a sample is the pathwise one of Jankowiak and Obermeyer, 2018, arXiv:1806.01851, as torch implements it.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from supernet.relaxations.base import Relaxation

SMALLEST_CONCENTRATION = 1e-2  # elu(alpha) + 1 underflows for alpha << 0; below this a sample is one-hot anyway
SMALLEST_WEIGHT = 1e-7  # a sampled weight of exactly zero has no pathwise gradient


class Dirichlet(Relaxation):
    """``theta[e] ~ Dir(beta[e])`` with ``beta = elu(alpha) + 1``; the mean mixture is ``beta / sum beta``.

    Args:
        anchor: what pulls beta to one (the uniform distribution on the simplex). ``l2``: ``scale / 2 * |alpha|^2``, the
            weight decay of the published code; ``kl``: ``scale * sum_e KL(Dir(beta[e]) || Dir(1))``, as in the paper.
            Where alpha has another start, the pull is to that.
        anchor_scale: the weight of that pull (1e-3 in the paper).
    """

    weight_decay = 0.0  # the anchor is the regulariser

    def __init__(self, anchor: Literal["l2", "kl"] = "l2", anchor_scale: float = 1e-3) -> None:
        super().__init__()
        if anchor not in ("l2", "kl"):
            raise ValueError(f"anchor is {anchor!r}: it must be 'l2' or 'kl'")
        if anchor_scale < 0:
            raise ValueError(f"anchor_scale is {anchor_scale}: it must not be negative")
        self.anchor = anchor
        self.anchor_scale = anchor_scale

    def concentration(self, alpha: Tensor) -> Tensor:
        """``beta = elu(alpha) + 1``, in float32 or better: positive, one at alpha = 0."""
        alpha = alpha.float() if alpha.dtype in (torch.float16, torch.bfloat16) else alpha
        return (F.elu(alpha) + 1).clamp_min(SMALLEST_CONCENTRATION)

    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """One sample per edge over its allowed operations; the others stay out of the distribution."""
        beta = self.concentration(alpha)
        total = (beta * allowed).sum(dim=-1, keepdim=True)
        return _Sample.apply(beta, total, allowed, self.generator)

    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """``beta / sum beta`` over the allowed operations."""
        beta = self.concentration(alpha) * allowed
        return beta / beta.sum(dim=-1, keepdim=True).clamp_min(SMALLEST_CONCENTRATION)

    def inverse(self, weights: Tensor) -> Tensor:
        """Concentrations in proportion to ``weights`` with mean one, the total of the uniform start."""
        beta = (weights * weights.shape[-1]).clamp_min(SMALLEST_CONCENTRATION)
        return torch.where(beta >= 1, beta - 1, beta.log())  # the inverse of elu(alpha) + 1

    def penalty(self, alpha: Tensor, allowed: Tensor, start: Tensor | None = None) -> Tensor:
        """The anchor; see the class."""
        start = torch.zeros_like(alpha) if start is None else start
        if self.anchor == "l2":
            return 0.5 * self.anchor_scale * (alpha - start).square().sum()
        return self.anchor_scale * divergence(self.concentration(alpha), self.concentration(start), allowed).sum()


def divergence(beta: Tensor, anchor: Tensor, allowed: Tensor) -> Tensor:
    """``KL(Dir(beta[e]) || Dir(anchor[e]))`` for each edge, over its allowed operations: a vector ``(edges,)``.

    ``lnG(sum b) - sum lnG(b) - lnG(sum a) + sum lnG(a) + sum (b - a)(psi(b) - psi(sum b))``.
    """
    beta, anchor = (torch.where(allowed, one, torch.ones_like(one)) for one in (beta, anchor))  # lnG(1) is 0
    totals = [(one * allowed).sum(dim=-1, keepdim=True) for one in (beta, anchor)]
    # An edge without operations counts nothing.
    total, other = (torch.where(one > 0, one, torch.ones_like(one)) for one in totals)
    pull = ((beta - anchor) * (beta.digamma() - total.digamma())).sum(dim=-1)
    normalisers = [
        sums.squeeze(-1).lgamma() - parts.lgamma().sum(dim=-1) for sums, parts in ((total, beta), (other, anchor))
    ]
    return normalisers[0] - normalisers[1] + pull


class _Sample(torch.autograd.Function):
    """A Dirichlet sample from an explicit generator.

    `torch.distributions.Dirichlet.rsample` computes the same, but draws from the global generator only; with one of our
    own all passes of a step share their noise, and a resumed run draws what an uninterrupted one draws.
    """

    @staticmethod
    def forward(ctx: Any, beta: Tensor, total: Tensor, allowed: Tensor, generator: Generator | None) -> Tensor:
        # Ruled-out operations take part with a negligible concentration and are then set to zero: a Dirichlet without
        # some coordinates, renormalised, is the Dirichlet of the others.
        effective = torch.where(allowed, beta, torch.full_like(beta, torch.finfo(beta.dtype).tiny))
        sample = torch._sample_dirichlet(effective, generator)
        sample = sample.clamp_min(SMALLEST_WEIGHT) * allowed
        sample = sample / sample.sum(dim=-1, keepdim=True).clamp_min(SMALLEST_WEIGHT)
        ctx.save_for_backward(sample, beta, total, allowed)
        return sample

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        sample, beta, total, allowed = ctx.saved_tensors
        # dx_j / dbeta_i = s_i (delta_ij - x_j) with s_i the marginal's implicit derivative over 1 - x_i
        marginal = torch._dirichlet_grad(sample.clamp_min(SMALLEST_WEIGHT), beta, total.expand_as(beta))
        mean = (sample * grad).sum(dim=-1, keepdim=True)
        return torch.where(allowed, marginal * (grad - mean), torch.zeros_like(beta)), None, None, None
