"""SDARTS-ADV: the mixture in the box that is worst for the training loss.

Chen and Hsieh, 2020, arXiv:2002.05283, equation 8, found by projected gradient ascent (Madry et al., 2018,
arXiv:1706.06083).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from supernet.averages import mean
from supernet.gradients import grad
from supernet.perturbations.base import Perturbation, Weights, project


class AdversarialPerturbation(Perturbation):
    """``steps`` ascents along the sign of the gradient, each by ``2 epsilon / steps``, from a random start.

    The result is kept only where it raises the loss; else the mixture stays as it is.

    Args:
        steps: forward and backward passes (7 in the paper).
        epsilon_start: half the side of the box at the beginning of the search.
        epsilon_end: the same at its end.
    """

    def __init__(self, steps: int = 7, epsilon_start: float = 0.03, epsilon_end: float = 0.3) -> None:
        super().__init__(epsilon_start, epsilon_end)
        if steps < 1:
            raise ValueError(f"steps is {steps}: it must be at least 1")
        self.steps = steps

    def perturb(
        self, weights: Weights, allowed: Weights, loss: Callable[[Weights], Tensor], generator: Generator
    ) -> dict[str, Tensor]:
        """See `Perturbation.perturb`."""
        start = {cell: table.detach() for cell, table in weights.items()}
        moved = self.uniform(weights, allowed, generator)
        for _ in range(self.steps):
            inputs = {cell: table.requires_grad_() for cell, table in moved.items()}
            slopes = mean(grad(loss(inputs), list(inputs.values())))
            moved = {}
            for (cell, table), slope in zip(inputs.items(), slopes, strict=True):
                stepped = table.detach() + 2 * self.epsilon / self.steps * slope.sign()
                boxed = torch.minimum(torch.maximum(stepped, start[cell] - self.epsilon), start[cell] + self.epsilon)
                moved[cell] = project(boxed, allowed[cell])
        with torch.no_grad():
            after, before = mean([loss(moved), loss(start)])
        better = after > before
        return {cell: torch.where(better, table, start[cell]) for cell, table in moved.items()}
