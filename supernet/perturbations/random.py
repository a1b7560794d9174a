"""SDARTS-RS: random smoothing of the mixture (Chen and Hsieh, 2020, arXiv:2002.05283, equation 7)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor

from supernet.perturbations.base import Perturbation, Weights


class RandomPerturbation(Perturbation):
    """``delta ~ U(-epsilon, epsilon)``, one draw a step: no extra pass."""

    def perturb(
        self, weights: Weights, allowed: Weights, loss: Callable[[Weights], Tensor], generator: Generator
    ) -> dict[str, Tensor]:
        """See `Perturbation.perturb`; the loss is not asked."""
        return self.uniform(weights, allowed, generator)
