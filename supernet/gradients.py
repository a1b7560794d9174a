"""Gradients as lists of tensors, independent of any network or optimizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def grad(value: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradient of a scalar for exactly these inputs: zeros where it does not depend on one."""
    return torch.autograd.grad(value, list(inputs), allow_unused=True, materialize_grads=True)


def detached(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same values without gradient: autograd then neither computes nor keeps anything for them."""
    return [tensor.detach() for tensor in tensors]


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all tensors together, on their device."""
    return torch.stack(torch._foreach_norm(list(tensors))).norm()
