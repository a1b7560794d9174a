"""Half precision: where a search may use it, and what it does to the gradients of the alphas."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet.errors import UserError
from supernet.formulations.base import Formulation

FULL, HALF = "32-true", "bf16-mixed"


def check_precision(
    precision: str | int | None, formulation: Formulation | None = None, arch_precision: str = FULL
) -> None:
    """Raise `UserError` where a search cannot be exact enough.

    Half precision needs a loss scaling that a search takes its gradients past, alphas kept in bfloat16 would round
    their small updates away, and so would weights in bfloat16 the small steps of a finite difference.
    """
    if str(precision).startswith("16"):
        raise UserError(
            f"trainer.precision={precision} needs loss scaling, which torch.autograd.grad skips; "
            "use trainer.precision=bf16-mixed"
        )
    if str(precision) == "bf16-true":
        raise UserError("trainer.precision=bf16-true would round the updates of the alphas away; use bf16-mixed")
    if arch_precision not in (FULL, HALF):
        raise UserError(f"arch_precision={arch_precision}: it must be {FULL} or {HALF}")
    if arch_precision == FULL:
        return
    if str(precision) != HALF:
        raise UserError(f"arch_precision={HALF} is a part of trainer.precision={HALF}, and that is {precision}")
    if getattr(formulation, "finite_differences", False):
        raise UserError(
            f"arch_precision={HALF} rounds the finite differences of {type(formulation).__name__} away; "
            f"use arch_precision={FULL} or formulation.finite_differences=false"
        )


def half(device: torch.device) -> bool:
    """Whether what is computed now is computed in half precision."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def full_precision(device: torch.device) -> torch.autocast:
    """A context in which nothing is computed in half precision."""
    return torch.autocast(device.type, enabled=False)


def cosine(ones: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """The cosine of the angle between two gradients, of all their tensors together; 0 where one of them vanishes."""
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (ones, others))
    return torch.nn.functional.cosine_similarity(one, other, dim=0)
