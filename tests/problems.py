"""Problems with known answers, for every formulation.

A quadratic: ``|A w + B alpha - batch|^2 / 2`` for both losses, with the batch as the target, so that every gradient has
a closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from supernet.formulations.base import Problem


@dataclass(frozen=True)
class Quadratic:
    """``L(w, alpha, (target, _)) = |A w + B alpha - target|^2 / 2`` in float64."""

    a: Tensor
    b: Tensor
    w: Tensor
    alpha: Tensor
    train: tuple[Tensor, Tensor]
    valid: tuple[Tensor, Tensor]

    @classmethod
    def random(cls, seed: int = 0, weights: int = 4, alphas: int = 3, rows: int = 5) -> Quadratic:
        g = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64)

        label = torch.zeros(())
        return cls(
            draw(rows, weights), draw(rows, alphas), draw(weights).requires_grad_(), draw(alphas).requires_grad_(),
            (draw(rows), label), (draw(rows), label),
        )  # fmt: skip

    def residual(self, target: Tensor) -> Tensor:
        return (self.a @ self.w + self.b @ self.alpha - target).detach()

    def problem(self, lr: float = 0.1, calls: list[str] | None = None) -> Problem:
        def loss(weights, arch, batch):
            if calls is not None:
                needs = [name for name, t in (("w", weights[0]), ("alpha", arch[0])) if t.requires_grad]
                calls.append(f"{'train' if batch is self.train else 'valid'}:{'+'.join(needs)}")
            return 0.5 * (self.a @ weights[0] + self.b @ arch[0] - batch[0]).square().sum()

        return Problem([self.w], [self.alpha], loss, lr)

    def d_alpha(self, part: str) -> Tensor:
        return self.b.T @ self.residual(getattr(self, part)[0])

    def d_w(self, part: str) -> Tensor:
        return self.a.T @ self.residual(getattr(self, part)[0])
