"""Gradients as lists of tensors, independent of any network or optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SMALLEST_NORM = 1e-30  # a direction shorter than this counts as zero


def grad(value: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradient of a scalar for exactly these inputs: zeros where it does not depend on one.

    With ``create_graph`` the gradient can be differentiated in turn, by `vjp`.
    """
    if not value.requires_grad:  # a sampled network whose input does not reach its output depends on nothing
        return tuple(torch.zeros_like(x) for x in inputs)
    return torch.autograd.grad(
        value, list(inputs), create_graph=create_graph, allow_unused=True, materialize_grads=True
    )


def vjp(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], vector: Sequence[Tensor], retain_graph: bool = False
) -> tuple[Tensor, ...]:
    """The vector-Jacobian product ``sum_i vector_i d outputs_i / d inputs``, zeros where nothing depends on an input.

    With a gradient as the outputs this is a Hessian-vector product. An output without a graph is a constant: the
    gradient of a weight that the loss does not use, or uses linearly.
    """
    pairs = [(output, v) for output, v in zip(outputs, vector, strict=True) if output.requires_grad]
    if not pairs:
        return tuple(torch.zeros_like(x) for x in inputs)
    alive, along = zip(*pairs, strict=True)
    return torch.autograd.grad(
        alive, list(inputs), along, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )


def directional(
    function: Callable[[list[Tensor]], Sequence[Tensor]],
    point: Sequence[Tensor],
    direction: Sequence[Tensor],
    epsilon: float,
) -> tuple[Tensor, ...]:
    """The derivative of ``function`` along ``direction``, by a central difference.

    ``(f(x + R v) - f(x - R v)) / 2R`` with ``R = epsilon / ||v||``, the norm over all tensors together (Liu, Simonyan
    and Yang, 2019, arXiv:1806.09055, equation 8). The shifted points are new tensors without a graph, and the direction
    0 has the derivative 0.

    Raises:
        ValueError: if ``epsilon`` is not positive.
    """
    if epsilon <= 0:
        raise ValueError(f"epsilon {epsilon}: the length of a finite difference must be positive")
    x, v = detached(point), detached(direction)
    radius = epsilon / norm(v).clamp_min(SMALLEST_NORM)
    shift = torch._foreach_mul(v, radius)
    ahead = function(list(torch._foreach_add(x, shift)))
    behind = function(list(torch._foreach_sub(x, shift)))
    return tuple((a - b) / (2 * radius) for a, b in zip(ahead, behind, strict=True))


def neumann(
    product: Callable[[Sequence[Tensor]], Sequence[Tensor]], vector: Sequence[Tensor], step: float, terms: int
) -> list[Tensor]:
    """The truncated series ``sum_{k=0}^{terms} (I - step H)^k v``, with ``product(p) = H p``.

    Times ``step`` it tends to ``H^-1 v`` where ``||I - step H|| < 1``; the rest is
    ``(I - step H)^(terms + 1) H^-1 v``, so the error falls geometrically.
    """
    p = total = list(vector)
    for _ in range(terms):
        p = list(torch._foreach_sub(p, list(product(p)), alpha=step))
        total = list(torch._foreach_add(total, p))
    return total


def detached(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same values without gradient: autograd then neither computes nor keeps anything for them."""
    return [tensor.detach() for tensor in tensors]


def leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same values as new variables to differentiate for."""
    return [tensor.detach().requires_grad_() for tensor in tensors]


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all tensors together, on their device."""
    return torch.stack(torch._foreach_norm(list(tensors))).norm()
