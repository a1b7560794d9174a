"""The contract of a formulation: a problem and two batches in, gradients out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from supernet.gradients import detached, grad, vjp

Batch = tuple[Tensor, Tensor]
"""Images ``(batch, channels, h, w)`` and labels ``(batch,)``."""

Gradients = tuple[Tensor, ...]


@dataclass(frozen=True)
class Problem:
    """A network's loss as a function of its weights and its architecture parameters.

    Attributes:
        weights: the current weights w.
        arch: the current architecture parameters alpha.
        loss: mean loss of a batch, pure in its first two arguments: ``loss(w, alpha, batch, sample)``; ``sample``
            numbers the draws of a sampling relaxation, and equal numbers give equal draws in every pass of a step.
        lr: the current learning rate of the weights, the xi of unrolled formulations.
        samples: how many draws a gradient is averaged over.
        momentum: of the weights' optimizer.
        weight_decay: of the weights' optimizer.
        buffers: the optimizer's momentum buffer of each weight; None before its first step and without momentum.
        reduce: the mean over all processes of what each has computed of its part of a batch.
    """

    weights: Sequence[Tensor]
    arch: Sequence[Tensor]
    loss: Callable[[Sequence[Tensor], Sequence[Tensor], Batch, int], Tensor]
    lr: float
    samples: int = 1
    momentum: float = 0.0
    weight_decay: float = 0.0
    buffers: Sequence[Tensor] | None = None
    reduce: Callable[[Sequence[Tensor]], Gradients] = tuple

    def value(self, weights: Sequence[Tensor], arch: Sequence[Tensor], batch: Batch) -> Tensor:
        """The loss, averaged over the draws, with its graph: of this process's part of the batch alone."""
        total = self.loss(weights, arch, batch, 0)
        for sample in range(1, self.samples):
            total = total + self.loss(weights, arch, batch, sample)
        return total / self.samples if self.samples > 1 else total

    def grad(
        self, weights: Sequence[Tensor], arch: Sequence[Tensor], batch: Batch, inputs: Sequence[Tensor]
    ) -> Gradients:
        """The gradient of the whole batch's loss for ``inputs``; one draw at a time, so that one graph is alive."""
        total = grad(self.loss(weights, arch, batch, 0), inputs)
        for sample in range(1, self.samples):
            more = grad(self.loss(weights, arch, batch, sample), inputs)
            total = tuple(a + b for a, b in zip(total, more, strict=True))
        return self.reduce(tuple(g / self.samples for g in total) if self.samples > 1 else total)

    def vjp(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], vector: Sequence[Tensor], retain_graph: bool = False
    ) -> Gradients:
        """`supernet.gradients.vjp` for the whole batch, of outputs that were made from `value`."""
        return self.reduce(vjp(outputs, inputs, vector, retain_graph))

    def virtual_step(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """The weights after one step of SGD: ``w - lr (momentum * buffer + g + weight_decay * w)`` (Liu et al., 2019).

        Differentiable in ``grads``; the current weights stay as they are.
        """
        buffers = self.buffers if self.buffers is not None and self.momentum else [None] * len(self.weights)
        moved = []
        for w, g, buffer in zip(self.weights, grads, buffers, strict=True):
            direction = g + self.weight_decay * w if self.weight_decay else g
            moved.append(w - self.lr * (direction if buffer is None else direction + self.momentum * buffer))
        return moved


class Formulation(ABC):
    """Computes gradients for alpha and w; it never steps an optimizer.

    With several processes, each of which has its part of a batch, its results are those of the whole batch: it forms
    them by `Problem.grad` and `Problem.vjp`, which average over the processes.

    Attributes:
        simultaneous: True where alpha and w move at once, with gradients at the same point from `joint_grads`; False
            where alpha moves first and w sees the new alpha (the order of the DARTS code).
        differentiates_twice: True where gradients are differentiated in turn.
    """

    simultaneous: bool = False
    differentiates_twice: bool = False

    @abstractmethod
    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """The gradient for each tensor of ``problem.arch``."""

    def weight_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """``d L_train / d w``; alpha is a constant here, so nothing is computed for it."""
        return problem.grad(problem.weights, detached(problem.arch), train, problem.weights)

    def joint_grads(self, problem: Problem, train: Batch, valid: Batch) -> tuple[Gradients, Gradients]:
        """The gradients for alpha and for w at the same point; overridden where one backward gives both."""
        return self.arch_grads(problem, train, valid), self.weight_grads(problem, train, valid)
