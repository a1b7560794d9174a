"""The contract of a relaxation: alpha in, mixing weights out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn


class Relaxation(nn.Module, ABC):
    """Turns architecture parameters ``alpha (edges, ops)`` into mixing weights of the same shape.

    Everywhere ``allowed`` is a boolean table ``(edges, ops)``; weights are zero where it is False, and an edge without
    any allowed operation has only zeros.

    Attributes:
        rows_sum_to_one: whether the weights of an edge sum to one.
        learns: whether alpha is learnt; False where the mixture does not depend on it.
        weight_decay: the L2 pull on alpha that the paper applies through its optimizer; zero where `penalty` does it.
        sparse: whether a training sample has one operation on each edge and only that one need be run.
        batch_statistics: whether validation normalises by its own batches: the running statistics are those of samples
            that are unlike the mixture it judges.
        generator: source of the noise of a sampling relaxation; None means torch's global one.
    """

    rows_sum_to_one: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    weight_decay: ClassVar[float] = 1e-3
    sparse: bool = False
    batch_statistics: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.generator: Generator | None = None

    def samples(self, allowed: Mapping[str, Tensor]) -> int:
        """How many draws a step averages over, given the table of each cell type; one unless overridden."""
        return 1

    @abstractmethod
    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The mixing weights of a training step, differentiable in alpha; random for a sampling relaxation."""

    @abstractmethod
    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The deterministic mixture, from which an architecture is read off."""

    def judged(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The mixing weights that validation judges: `mean`, unless overridden."""
        return self.mean(alpha, allowed)

    @abstractmethod
    def inverse(self, weights: Tensor) -> Tensor:
        """An alpha whose mean mixture is ``weights`` (positive rows that sum to one)."""

    def penalty(self, alpha: Tensor, allowed: Tensor, start: Tensor | None = None) -> Tensor:
        """A scalar added to the loss of alpha; zero unless the relaxation regularises alpha.

        ``start`` is where alpha began, for a penalty that keeps it near there; None for zero.
        """
        return alpha.new_zeros(())

    def anneal(self, progress: float) -> None:
        """Move a schedule to ``progress`` in [0, 1], the share of the search that is done. Nothing by default."""

    def member(self, choices: Tensor) -> int | None:
        """Which architecture of a list the next step trains; None for a relaxation that mixes operations by itself.

        Args:
            choices: the operation on each edge ``(architectures, edges)``, -1 on one that is not kept.
        """
        return None

    def seed(self, seed: int, device: torch.device, sample: int = 0) -> None:
        """Make the next draw a function of ``(seed, sample)``; equal ones give equal draws for every cell type."""
        if self.generator is None or self.generator.device != device:
            self.generator = Generator(device)
        self.generator.manual_seed(seed + sample)
