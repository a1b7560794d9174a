"""The hypergradient through one virtual step of the weights, for the formulations that unroll.

For an outer loss ``L = sum_p scale_p L_p`` and the virtual step of `Problem.virtual_step`,
``w'(alpha) = w - xi (momentum * buffer + d_w L_train(w, alpha) + weight_decay * w)``,

    d L(w'(alpha), alpha) / d alpha = d_alpha L(w', alpha) - xi d2_{alpha w} L_train(w, alpha) d,  d = d_w' L(w', alpha)

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", 2019, arXiv:1806.09055, equation 7. Momentum and
weight decay move w' but do not depend on alpha. The correction is linear in d, so one serves all parts of L.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from supernet.formulations.base import Batch, Gradients, Problem
from supernet.gradients import detached, directional, grad, leaves

Parts = Sequence[tuple[float, Batch]]
"""The outer loss: the scale and the batch of each of its parts."""


def unrolled(problem: Problem, train: Batch, parts: Parts, finite_differences: bool, epsilon: float) -> Gradients:
    """The hypergradient of the outer loss after one virtual step on ``train``.

    Args:
        problem: where it is taken.
        train: the batch of the virtual step and of the correction.
        parts: the outer loss.
        finite_differences: True: the correction is a central difference, which costs two more passes of ``train`` but
            keeps no graph and also works with compiled networks. False: double backward through the virtual step. In
            networks with ReLU a difference crosses kinks that double backward does not see, so the two agree only as
            far as few of them lie within ``epsilon``; a smaller one is noisier, not better.
        epsilon: the length of the finite difference.
    """
    if finite_differences:
        return _by_differences(problem, train, parts, epsilon)
    return _by_double_backward(problem, train, parts)


def _by_differences(problem: Problem, train: Batch, parts: Parts, epsilon: float) -> Gradients:
    v = problem.grad(problem.weights, detached(problem.arch), train, problem.weights)
    direct, d = _outer(problem, leaves(problem.virtual_step(v)), parts)
    mixed = directional(lambda w: problem.grad(w, problem.arch, train, problem.arch), problem.weights, d, epsilon)
    return tuple(torch._foreach_sub(direct, mixed, alpha=problem.lr))


def _by_double_backward(problem: Problem, train: Batch, parts: Parts) -> Gradients:
    v = grad(problem.value(problem.weights, problem.arch, train), problem.weights, create_graph=True)
    moved = problem.virtual_step(problem.reduce(detached(v)))
    direct, d = _outer(problem, leaves(moved), parts)
    return tuple(torch._foreach_sub(direct, problem.vjp(v, problem.arch, d), alpha=problem.lr))


def _outer(problem: Problem, weights: Sequence[torch.Tensor], parts: Parts) -> tuple[Gradients, Gradients]:
    """The outer loss's gradients for alpha and for the weights; the graph of one part is alive at a time."""
    total: Gradients = ()
    for scale, batch in parts:
        both = problem.grad(weights, problem.arch, batch, [*problem.arch, *weights])
        part = torch._foreach_mul(both, scale)
        total = tuple(torch._foreach_add(total, part) if total else part)
    return total[: len(problem.arch)], total[len(problem.arch) :]
