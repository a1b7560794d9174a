"""The contract of a relaxation: alpha in, mixing weights out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn


class Relaxation(nn.Module, ABC):
    """Turns architecture parameters ``alpha (edges, ops)`` into mixing weights of the same shape.

    Everywhere ``allowed`` is a boolean table ``(edges, ops)``; weights are zero where it is False, and an edge without
    any allowed operation has only zeros.

    Attributes:
        rows_sum_to_one: whether the weights of an edge sum to one.
        weight_decay: the L2 pull on alpha that the paper applies through its optimizer; zero where `penalty` does it.
        generator: source of the noise of a sampling relaxation; None means torch's global one.
    """

    rows_sum_to_one: ClassVar[bool] = True
    weight_decay: ClassVar[float] = 1e-3

    def __init__(self) -> None:
        super().__init__()
        self.generator: Generator | None = None

    @abstractmethod
    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The mixing weights of a training step, differentiable in alpha; random for a sampling relaxation."""

    @abstractmethod
    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """The deterministic mixture: for validation and for reading off an architecture."""

    @abstractmethod
    def inverse(self, weights: Tensor) -> Tensor:
        """An alpha whose mean mixture is ``weights`` (positive rows that sum to one)."""

    def penalty(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """A scalar added to the loss of alpha; zero unless the relaxation regularises alpha."""
        return alpha.new_zeros(())

    def anneal(self, progress: float) -> None:
        """Move a schedule to ``progress`` in [0, 1], the share of the search that is done. Nothing by default."""

    def seed(self, seed: int, device: torch.device) -> None:
        """Make the next sample a function of ``seed``; equal seeds give equal samples."""
        if self.generator is None or self.generator.device != device:
            self.generator = Generator(device)
        self.generator.manual_seed(seed)
