"""First-order bilevel search: alpha on the validation half, weights on the training half.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", 2019, arXiv:1806.09055, equation 7 with xi = 0.
"""

from __future__ import annotations

from supernet.formulations.base import Batch, Formulation, Gradients, Problem
from supernet.gradients import detached


class FirstOrder(Formulation):
    """``g_alpha = d L_val(w, alpha) / d alpha``: the current weights stand in for the optimal ones."""

    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """See `Formulation.arch_grads`; no weight gradient is computed."""
        return problem.grad(detached(problem.weights), problem.arch, valid, problem.arch)
