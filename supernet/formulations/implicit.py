"""Implicit bilevel search: how the optimal weights answer to alpha, from a truncated Neumann series.

Zhang, Su, Pan, Chang, Abbasnejad and Haffari, "iDARTS: Differentiable Architecture Search with Stochastic Implicit
Gradients", 2021, arXiv:2106.10784, algorithm 1. At weights that minimise L_train the implicit function theorem gives

    d L_val(w*(alpha), alpha) / d alpha = d_alpha L_val - d2_{alpha w} L_train H^-1 d_w L_val,  H = d2_w L_train

and ``H^-1 = gamma sum_k (I - gamma H)^k`` where ``||I - gamma H|| < 1``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet.formulations.base import Batch, Formulation, Gradients, Problem
from supernet.gradients import detached, directional, grad, leaves, neumann


class Implicit(Formulation):
    """``g_alpha = d_alpha L_val - gamma d2_{alpha w} L_train sum_{k=0}^{terms} (I - gamma H)^k d_w L_val``.

    All at the current (w, alpha); gamma is the learning rate of the weights, H and the mixed derivative are those of
    one training batch, without weight decay. The paper's T steps of the weights between two steps of alpha are those of
    the training loop, which asks for this gradient at every T-th batch only; here nothing is stepped.

    The series only converges where no eigenvalue of H is negative or above 2 / gamma. New weights are far from that:
    let them settle first (``warmup_epochs``).

    Args:
        terms: the number of Hessian-vector products, the paper's K; 0 leaves ``d_alpha L_val - gamma d2_{alpha w}
            L_train d_w L_val``, a DARTS step without the shift of w.
        finite_differences: False: exact products, from one graph of ``d_w L_train`` that serves all of them. True:
            central differences, ``2 terms + 2`` further passes that keep no graph and also work with compiled networks.
        epsilon: the length of each finite difference in weight space, ``R = epsilon / ||p||`` for each p anew.
    """

    def __init__(self, terms: int = 2, finite_differences: bool = False, epsilon: float = 0.01) -> None:
        if terms < 0:
            raise ValueError(f"terms {terms}: the Neumann series cannot have a negative number of terms")
        self.terms = terms
        self.finite_differences = finite_differences
        self.differentiates_twice = not finite_differences
        self.epsilon = epsilon

    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """See `Formulation.arch_grads`."""
        both = problem.grad(problem.weights, problem.arch, valid, [*problem.arch, *problem.weights])
        direct, v = both[: len(problem.arch)], both[len(problem.arch) :]
        mixed = self._by_differences(problem, train, v) if self.finite_differences else self._exact(problem, train, v)
        return tuple(torch._foreach_sub(direct, mixed, alpha=problem.lr))

    def _exact(self, problem: Problem, train: Batch, v: Gradients) -> Gradients:
        d = grad(problem.value(problem.weights, problem.arch, train), problem.weights, create_graph=True)
        s = neumann(lambda p: problem.vjp(d, problem.weights, p, retain_graph=True), v, problem.lr, self.terms)
        return problem.vjp(d, problem.arch, s)

    def _by_differences(self, problem: Problem, train: Batch, v: Gradients) -> Gradients:
        def d_w(weights: Sequence[Tensor]) -> Gradients:
            weights = leaves(weights)
            return problem.grad(weights, detached(problem.arch), train, weights)

        def d_alpha(weights: Sequence[Tensor]) -> Gradients:
            return problem.grad(weights, problem.arch, train, problem.arch)

        s = neumann(lambda p: directional(d_w, problem.weights, p, self.epsilon), v, problem.lr, self.terms)
        return directional(d_alpha, problem.weights, s, self.epsilon)
