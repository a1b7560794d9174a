"""Second-order bilevel search: alpha on the validation half, as the weights will be after their next step.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", 2019, arXiv:1806.09055, equations 6 to 8.
"""

from __future__ import annotations

from supernet.formulations.base import Batch, Formulation, Gradients, Problem
from supernet.formulations.unrolled import unrolled


class SecondOrder(Formulation):
    """``g_alpha = d_alpha L_val(w', alpha) - xi d2_{alpha w} L_train(w, alpha) d_w' L_val(w', alpha)``.

    w' is the weights' next step of SGD on the training batch, with its momentum and weight decay, and xi their learning
    rate; with xi = 0 this is `FirstOrder`. See `unrolled`.

    Args:
        finite_differences: True: as published, the second term is ``xi (g+ - g-) / 2R`` with
            ``g+- = d_alpha L_train(w +- R d, alpha)``, ``d = d_w' L_val`` and ``R = epsilon / ||d||``: four passes.
            False: exactly, by double backward, in two passes that need more memory.
        epsilon: the length of the finite difference in weight space; the paper's is 0.01.
    """

    def __init__(self, finite_differences: bool = True, epsilon: float = 0.01) -> None:
        self.finite_differences = finite_differences
        self.differentiates_twice = not finite_differences
        self.epsilon = epsilon

    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """See `Formulation.arch_grads`."""
        return unrolled(problem, train, [(1.0, valid)], self.finite_differences, self.epsilon)
