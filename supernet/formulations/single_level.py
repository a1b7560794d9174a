"""Single-level search: alpha and weights both follow the training loss; the held-out half is not used."""

from __future__ import annotations

from supernet.formulations.base import Batch, Formulation, Gradients, Problem
from supernet.gradients import detached


class SingleLevel(Formulation):
    """``g_alpha = d L_train(w, alpha) / d alpha``, from the backward that also gives the weights theirs."""

    simultaneous = True

    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """See `Formulation.arch_grads`."""
        return problem.grad(detached(problem.weights), problem.arch, train, problem.arch)

    def joint_grads(self, problem: Problem, train: Batch, valid: Batch) -> tuple[Gradients, Gradients]:
        """Both gradients from one backward."""
        both = problem.grad(problem.weights, problem.arch, train, [*problem.arch, *problem.weights])
        return both[: len(problem.arch)], both[len(problem.arch) :]
