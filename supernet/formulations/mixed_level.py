"""Mixed-level search: alpha follows the training and the validation loss together.

He, Ye, Shen and Zhang, "MiLeNAS: Efficient Neural Architecture Search via Mixed-Level Reformulation", 2020,
arXiv:2003.12238, equations 5 and 6. Their code weighs the training part, their text the validation part; both are here.
"""

from __future__ import annotations

from supernet.formulations.base import Batch, Formulation, Gradients, Problem
from supernet.gradients import detached


class MixedLevel(Formulation):
    """``g_alpha = lambda_train * d L_train / d alpha + lambda_val * d L_val / d alpha``, both at the current w.

    Args:
        lambda_train: the weight of the training loss; with 0 this is `FirstOrder`.
        lambda_val: the weight of the validation loss (the paper's lambda); with 0 this is `SingleLevel`.
        simultaneous: True: the training pass that moves the weights also gives alpha its training gradient, so that a
            step costs two passes, as the paper's equations read. False: alpha moves first and the weights follow at the
            new alpha, with a third pass, as the published code does.
    """

    def __init__(self, lambda_train: float = 1.0, lambda_val: float = 1.0, simultaneous: bool = True) -> None:
        if lambda_train < 0 or lambda_val < 0 or lambda_train + lambda_val == 0:
            raise ValueError(
                f"lambda_train {lambda_train} and lambda_val {lambda_val}: neither may be negative, nor both zero"
            )
        self.lambda_train = lambda_train
        self.lambda_val = lambda_val
        self.simultaneous = simultaneous

    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """See `Formulation.arch_grads`; a part whose weight is zero is not computed."""
        weights = detached(problem.weights)
        parts = [
            [scale * g for g in problem.grad(weights, problem.arch, batch, problem.arch)]
            for scale, batch in ((self.lambda_train, train), (self.lambda_val, valid))
            if scale
        ]
        return tuple(sum(rest, first) for first, *rest in zip(*parts, strict=True))

    def joint_grads(self, problem: Problem, train: Batch, valid: Batch) -> tuple[Gradients, Gradients]:
        """Both gradients, those of the training loss from one backward."""
        if not self.lambda_train:
            return super().joint_grads(problem, train, valid)
        both = problem.grad(problem.weights, problem.arch, train, [*problem.arch, *problem.weights])
        arch, weights = both[: len(problem.arch)], both[len(problem.arch) :]
        arch = tuple(self.lambda_train * g for g in arch)
        if self.lambda_val:
            held_out = problem.grad(detached(problem.weights), problem.arch, valid, problem.arch)
            arch = tuple(a + self.lambda_val * v for a, v in zip(arch, held_out, strict=True))
        return arch, weights
