"""Samples of a categorical distribution over the operations of an edge, by the Gumbel-softmax trick.

Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, arXiv:1611.01144, equation 2; found at
the same time by Maddison, Mnih and Teh, 2017, arXiv:1611.00712. Soft samples are those of Xie, Zheng, Liu and Lin,
"SNAS", 2019, arXiv:1812.09926; hard ones those of Dong and Yang, "Searching for a Robust Neural Architecture in Four
GPU Hours" (GDAS), 2019, arXiv:1910.04465.
"""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.relaxations.base import Relaxation
from supernet.relaxations.softmax import Softmax


class Gumbel(Relaxation):
    """``y = softmax((alpha + g) / tau)`` over the allowed operations, with ``g = -log E`` and ``E ~ Exp(1)``.

    A hard sample is the straight-through one: forward ``one_hot(argmax y)``, backward the gradient of y. It picks an
    operation with probability ``softmax(alpha)``, whatever the temperature tau is, so that this is its expectation; a
    soft sample approaches the hard one as tau goes to 0 and the uniform mixture as tau grows. (The papers write the
    log-probabilities for alpha. They differ from it by a number for each edge, which the softmax does not see.)

    Args:
        hard: whether a sample is one-hot, so that one operation an edge is run.
        tau_start: the temperature when the search starts.
        tau_end: the temperature when it is done; linear in between.
    """

    batch_statistics = True

    def __init__(self, hard: bool = True, tau_start: float = 10.0, tau_end: float = 0.1) -> None:
        super().__init__()
        for name, tau in (("tau_start", tau_start), ("tau_end", tau_end)):
            if not tau > 0:
                raise ValueError(f"{name} is {tau}: it must be positive")
        self.sparse = hard
        self.tau_start = tau_start
        self.tau_end = tau_end
        self.tau = tau_start
        self.softmax = Softmax()

    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """One sample per edge over its allowed operations, in float32 or better."""
        alpha = alpha.float() if alpha.dtype in (torch.float16, torch.bfloat16) else alpha
        soft: Tensor = self.softmax((alpha + self._noise(alpha)) / self.tau, allowed)
        if not self.sparse:
            return soft
        chosen = torch.zeros_like(soft).scatter(-1, soft.argmax(dim=-1, keepdim=True), 1.0) * allowed
        return chosen + (soft - soft.detach())  # the bracket is exactly 0, so the sample is exactly 0 or 1

    def _noise(self, alpha: Tensor) -> Tensor:
        """Standard Gumbel noise of alpha's shape; the clamp keeps an exponential of exactly zero from becoming inf."""
        exponential = torch.empty_like(alpha).exponential_(generator=self.generator)
        return -exponential.clamp_min(torch.finfo(alpha.dtype).tiny).log()

    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """``softmax(alpha)``: the probabilities of the operations."""
        return self.softmax(alpha, allowed)

    def judged(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """For hard samples the most probable one, without noise (Dong and Yang, 2019); for soft ones their mean."""
        mean = self.mean(alpha, allowed)
        return (
            torch.zeros_like(mean).scatter(-1, mean.argmax(dim=-1, keepdim=True), 1.0) * allowed
            if self.sparse
            else mean
        )

    def inverse(self, weights: Tensor) -> Tensor:
        """``log weights``, with rows of mean zero."""
        return self.softmax.inverse(weights)

    def anneal(self, progress: float) -> None:
        """``tau = tau_start + progress (tau_end - tau_start)``."""
        self.tau = self.tau_start + progress * (self.tau_end - self.tau_start)
