"""Optimizers that update all tensors by one kernel."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

DEVICES = ("cpu", "cuda")
"""Where torch has fused kernels for all of them."""
OTHERWISE = {"fused", "foreach", "differentiable"}
"""Settings that say how an optimizer computes."""


def fused(factory: Callable[..., Optimizer], parameters: Iterable[Tensor]) -> Optimizer:
    """The optimizer of these parameters, with ``fused=True`` where it can do that and the factory says nothing of it.

    torch's fused kernels on a CPU read gradients and states in the order in which the parameter lies in memory,
    whatever theirs is, and would silently update the wrong elements. So those that lie otherwise are copied before each
    step.
    """
    given = factory if isinstance(factory, functools.partial) else functools.partial(factory)
    tensors = list(parameters)
    possible = "fused" in inspect.signature(given.func).parameters and not OTHERWISE & given.keywords.keys()
    if possible and all(tensor.device.type in DEVICES for tensor in tensors):
        given = functools.partial(given, fused=True)
    optimizer = given(tensors)
    if any(group.get("fused") for group in optimizer.param_groups):
        optimizer.register_step_pre_hook(_align)
    return optimizer


def _align(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Let gradients and states lie in memory as their parameters do."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad = _like(parameter.grad, parameter)
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = _like(value, parameter)


def _like(tensor: Tensor, parameter: Tensor) -> Tensor:
    if tensor.stride() == parameter.stride():
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
