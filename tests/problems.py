"""Problems with known answers, for every formulation.

`Quadratic`: ``|A w + B alpha - batch|^2 / 2`` for both losses, with the batch as the target, so that every gradient has
a closed form. `Curved`: a small smooth network of several tensors with derivatives of every order, for references that
differentiate a composed function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from supernet.formulations.base import Problem

Batch = tuple[Tensor, Tensor]
Tensors = Sequence[Tensor]


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
    def random(
        cls, seed: int = 0, weights: int = 4, alphas: int = 3, rows: int = 5, spectrum: Tensor | None = None
    ) -> Quadratic:
        """Normal entries; with a ``spectrum`` A gets these singular values, so that ``H = A^T A`` has their squares."""
        g = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64)

        a = draw(rows, weights)
        if spectrum is not None:
            u, _, v = torch.linalg.svd(a, full_matrices=False)
            a = u @ torch.diag(spectrum.double()) @ v
        label = torch.zeros(())
        return cls(
            a, draw(rows, alphas), draw(weights).requires_grad_(), draw(alphas).requires_grad_(),
            (draw(rows), label), (draw(rows), label),
        )  # fmt: skip

    def residual(self, target: Tensor, w: Tensor | None = None) -> Tensor:
        return (self.a @ (self.w if w is None else w) + self.b @ self.alpha - target).detach()

    def problem(self, lr: float = 0.1, calls: list[str] | None = None, **options) -> Problem:
        def loss(weights, arch, batch, sample=0):
            if calls is not None:
                needs = [name for name, t in (("w", weights[0]), ("alpha", arch[0])) if t.requires_grad]
                calls.append(f"{'train' if batch is self.train else 'valid'}:{'+'.join(needs)}")
            return 0.5 * (self.a @ weights[0] + self.b @ arch[0] - batch[0]).square().sum()

        return Problem([self.w], [self.alpha], loss, lr, **options)

    def d_alpha(self, part: str, w: Tensor | None = None) -> Tensor:
        return self.b.T @ self.residual(getattr(self, part)[0], w)

    def d_w(self, part: str, w: Tensor | None = None) -> Tensor:
        return self.a.T @ self.residual(getattr(self, part)[0], w)

    @property
    def hessian(self) -> Tensor:
        """``d2 L / d w2 (weights, weights)``."""
        return self.a.T @ self.a

    @property
    def mixed(self) -> Tensor:
        """``d2 L / d alpha d w (alphas, weights)``."""
        return self.b.T @ self.a

    def optimum(self, alpha: Tensor) -> Tensor:
        """The weights that minimise the training loss, as a differentiable function of alpha."""
        return torch.linalg.solve(self.hessian, self.a.T @ (self.train[0] - self.b @ alpha))


@dataclass(frozen=True)
class Curved:
    """A regression by ``tanh`` features, mixed by ``softmax(alpha)`` and scaled by a second table, in float64.

    Weights ``(6, 3)`` and ``(6,)``, alphas ``(2, 3)`` and ``(3,)``; every draw of ``loss`` shifts the first table.
    """

    weights: list[Tensor]
    arch: list[Tensor]
    shifts: Tensor
    train: Batch
    valid: Batch

    @classmethod
    def random(cls, seed: int = 0) -> Curved:
        g = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=g, dtype=torch.float64)

        weights, arch = [draw(6, 3), draw(6)], [draw(2, 3), draw(3)]
        for tensor in (*weights, *arch):
            tensor.requires_grad_()
        return cls(weights, arch, draw(4, 2, 3), (draw(8, 3), draw(8)), (draw(8, 3), draw(8)))

    def loss(self, weights: Tensors, arch: Tensors, batch: Batch, sample: int = 0) -> Tensor:
        x, y = batch
        mixture = torch.softmax(arch[0] + self.shifts[sample], -1).flatten()
        features = torch.tanh(torch.tanh(x * arch[1]) @ weights[0].T) * mixture
        return (features @ weights[1] - y).square().mean()

    def problem(self, lr: float = 0.1, **options) -> Problem:
        return Problem(self.weights, self.arch, self.loss, lr, **options)

    def to(self, device: str) -> Curved:
        """A copy; on "meta" its tensors have no values, and reading one raises, as it would wait on a GPU."""

        def move(tensors: Tensors) -> list[Tensor]:
            return [t.detach().to(device).requires_grad_(t.requires_grad) for t in tensors]

        shifts, *batches = move([self.shifts, *self.train, *self.valid])
        return Curved(move(self.weights), move(self.arch), shifts, (batches[0], batches[1]), (batches[2], batches[3]))

    def buffers(self) -> list[Tensor]:
        """A momentum buffer, neither small nor a multiple of the weights."""
        return [torch.cos(3 * w).detach() for w in self.weights]


def averaged(problem: Problem) -> Problem:
    """The same problem with the mean over its draws as the loss of one draw."""

    def loss(weights: Tensors, arch: Tensors, batch: Batch, sample: int = 0) -> Tensor:
        assert sample == 0
        return torch.stack([problem.loss(weights, arch, batch, i) for i in range(problem.samples)]).mean()

    return Problem(
        problem.weights, problem.arch, loss, problem.lr, 1, problem.momentum, problem.weight_decay, problem.buffers
    )


def unrolled_reference(
    problem: Problem, train: Batch, outer: Callable[[Tensors, Tensors], Tensor]
) -> tuple[Tensor, ...]:
    """``d outer(w'(alpha), alpha) / d alpha`` by differentiating the composed function with torch.func."""
    weights = tuple(w.detach() for w in problem.weights)
    buffers = problem.buffers or [torch.zeros_like(w) for w in weights]

    def composed(arch: tuple[Tensor, ...]) -> Tensor:
        grads = torch.func.grad(lambda w: problem.value(w, arch, train))(weights)
        moved = tuple(
            w - problem.lr * (problem.momentum * b + g + problem.weight_decay * w)
            for w, b, g in zip(weights, buffers, grads, strict=True)
        )
        return outer(moved, arch)

    return torch.func.grad(composed)(tuple(a.detach() for a in problem.arch))


def implicit_reference(problem: Problem, train: Batch, valid: Batch, terms: int) -> Tensor:
    """The truncated implicit gradient of all alphas ``(n,)``, from dense second derivatives by torch.func."""
    shapes = [[t.shape for t in tensors] for tensors in (problem.weights, problem.arch)]
    w, a = (nn.utils.parameters_to_vector([t.detach() for t in part]) for part in (problem.weights, problem.arch))

    def unflatten(vector: Tensor, part: int) -> list[Tensor]:
        pieces = vector.split([s.numel() for s in shapes[part]])
        return [piece.view(s) for piece, s in zip(pieces, shapes[part], strict=True)]

    def loss(batch: Batch) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda w, a: problem.value(unflatten(w, 0), unflatten(a, 1), batch)

    hessian = torch.func.hessian(loss(train), 0)(w, a)
    mixed = torch.func.jacrev(torch.func.jacrev(loss(train), 1), 0)(w, a)  # (alphas, weights)
    d_w, d_a = torch.func.grad(loss(valid), (0, 1))(w, a)
    contraction = torch.eye(len(w), dtype=w.dtype) - problem.lr * hessian
    series = sum(torch.linalg.matrix_power(contraction, k) for k in range(terms + 1))
    return d_a - problem.lr * mixed @ series @ d_w


def flat(tensors: Tensors) -> Tensor:
    """All values in one vector."""
    return torch.cat([t.flatten() for t in tensors])
