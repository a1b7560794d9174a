"""Second-order mixed-level search: alpha follows both losses as they will be after the weights' next step.

He, Ye, Shen and Zhang, "MiLeNAS: Efficient Neural Architecture Search via Mixed-Level Reformulation", 2020,
arXiv:2003.12238, the second-order form of the method. The authors find it slower and no better than `MixedLevel`.
"""

from __future__ import annotations

from supernet.formulations.base import Batch, Formulation, Gradients, Problem
from supernet.formulations.unrolled import unrolled


class MixedLevelSecondOrder(Formulation):
    """``g_alpha = d/d alpha [ lambda_train L_train(w'(alpha), alpha) + lambda_val L_val(w'(alpha), alpha) ]``.

    w' is the weights' next step of SGD on the training batch; see `unrolled`. The published code takes one finite
    difference for each loss. They are linear in ``d = lambda_train d_train + lambda_val d_val``, so one for that d is
    enough.

    Args:
        lambda_train: the weight of the training loss; with 0 and ``lambda_val`` 1 this is `SecondOrder`.
        lambda_val: the weight of the validation loss (the paper's lambda).
        finite_differences: True: as published, five passes. False: exactly, by double backward, in three.
        epsilon: the length of the finite difference in weight space.
    """

    def __init__(
        self,
        lambda_train: float = 1.0,
        lambda_val: float = 1.0,
        finite_differences: bool = True,
        epsilon: float = 0.01,
    ) -> None:
        if lambda_train < 0 or lambda_val < 0 or lambda_train + lambda_val == 0:
            raise ValueError(
                f"lambda_train {lambda_train} and lambda_val {lambda_val}: neither may be negative, nor both zero"
            )
        self.lambda_train = lambda_train
        self.lambda_val = lambda_val
        self.finite_differences = finite_differences
        self.differentiates_twice = not finite_differences
        self.epsilon = epsilon

    def arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Gradients:
        """See `Formulation.arch_grads`; a part whose weight is zero is not computed."""
        parts = [(scale, batch) for scale, batch in ((self.lambda_train, train), (self.lambda_val, valid)) if scale]
        return unrolled(problem, train, parts, self.finite_differences, self.epsilon)
