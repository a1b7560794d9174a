"""The contract of a formulation: a problem and two batches in, gradients out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from supernet.gradients import detached, grad

Batch = tuple[Tensor, Tensor]
"""Images ``(batch, channels, h, w)`` and labels ``(batch,)``."""


@dataclass(frozen=True)
class Problem:
    """A network's loss as a function of its weights and its architecture parameters.

    Attributes:
        weights: the current weights w.
        arch: the current architecture parameters alpha.
        loss: mean loss of a batch, pure in its first two arguments: ``loss(w, alpha, batch)``.
        lr: the current learning rate of the weights, the xi of unrolled formulations.
    """

    weights: Sequence[Tensor]
    arch: Sequence[Tensor]
    loss: Callable[[Sequence[Tensor], Sequence[Tensor], Batch], Tensor]
    lr: float


Gradients = tuple[Tensor, ...]


class Formulation(ABC):
    """Computes gradients for alpha and w; it never steps an optimizer and never averages over processes.

    Attributes:
        simultaneous: True where alpha and w move at once, with gradients at the same point from `joint_grads`; False
            where alpha moves first and w sees the new alpha (the order of the DARTS code).
    """

    simultaneous: bool = False

    @abstractmethod
    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """The gradient for each tensor of ``problem.arch``."""

    def weight_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """``d L_train / d w``; alpha is a constant here, so nothing is computed for it."""
        return grad(problem.loss(problem.weights, detached(problem.arch), train), problem.weights)

    def joint_grads(self, problem: Problem, train: Batch, valid: Batch) -> tuple[Gradients, Gradients]:
        """The gradients for alpha and for w at the same point; overridden where one backward gives both."""
        return self.arch_grads(problem, train, valid), self.weight_grads(problem, train, valid)
