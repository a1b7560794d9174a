"""The contract of a perturbation.

Chen and Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based Regularization", 2020,
arXiv:2002.05283: the weights of a bilevel search are trained at ``p + delta`` with ``|delta| <= epsilon`` in place of
the mixing weights p, the alphas at p.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

Weights = Mapping[str, Tensor]


class Perturbation(ABC):
    """Moves mixing weights within a box around them.

    Args:
        epsilon_start: half the side of the box at the beginning of the search.
        epsilon_end: the same at its end; it grows linearly in between.
    """

    def __init__(self, epsilon_start: float = 0.03, epsilon_end: float = 0.3) -> None:
        for name, value in (("epsilon_start", epsilon_start), ("epsilon_end", epsilon_end)):
            if value < 0:
                raise ValueError(f"{name} is {value}: it must not be negative")
        self.epsilon_start = epsilon_start
        self.epsilon_end = epsilon_end
        self.epsilon = epsilon_start

    def anneal(self, progress: float) -> None:
        """Grow the box to what it is when this share of the search is done."""
        self.epsilon = self.epsilon_start + (self.epsilon_end - self.epsilon_start) * progress

    @abstractmethod
    def perturb(
        self, weights: Weights, allowed: Weights, loss: Callable[[Weights], Tensor], generator: Generator
    ) -> dict[str, Tensor]:
        """Mixing weights ``(edges, operations)`` near ``weights``, for each cell type; detached.

        Args:
            weights: the mixing weights p.
            allowed: boolean tables; weights stay zero where they are False.
            loss: the training loss at mixing weights, with the statistics of evaluation.
            generator: source of randomness, on the weights' device.
        """

    def uniform(self, weights: Weights, allowed: Weights, generator: Generator) -> dict[str, Tensor]:
        """``p + U(-epsilon, epsilon)``, projected."""
        moved = {}
        for cell, table in weights.items():
            noise = torch.rand(table.shape, generator=generator, device=table.device, dtype=table.dtype)
            moved[cell] = project(table.detach() + self.epsilon * (2 * noise - 1), allowed[cell])
        return moved


def project(weights: Tensor, allowed: Tensor) -> Tensor:
    """Clip to [0, 1], zero where not allowed, and divide by the sum of the row.

    Where nothing is left of a row, its largest entry becomes one: no edge goes without its operations.
    """
    clipped = weights.clamp(0, 1) * allowed
    total = clipped.sum(dim=1, keepdim=True)
    largest = weights.masked_fill(~allowed, -torch.inf).argmax(dim=1, keepdim=True)
    only = torch.zeros_like(clipped).scatter(1, largest, 1.0) * allowed
    return torch.where(total > 0, clipped / total.clamp_min(torch.finfo(weights.dtype).tiny), only)
