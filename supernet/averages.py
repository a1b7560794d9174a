"""What the processes of a run know together; with a single process everything stays as it is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torchmetrics import Metric


def processes() -> int:
    """How many processes share the work."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def place() -> tuple[int, int]:
    """The number of this process, from 0 on, and how many there are."""
    return (dist.get_rank() if processes() > 1 else 0), processes()


def mean(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The mean of each tensor over all processes, without a graph: one message with all of them."""
    count = processes()
    if count == 1 or not tensors:
        return tuple(tensors)
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    parts = flat.div_(count).split([tensor.numel() for tensor in tensors])
    return tuple(
        torch.empty_like(tensor).copy_(part.view(tensor.shape)) for tensor, part in zip(tensors, parts, strict=True)
    )


def equal(tensors: Sequence[Tensor]) -> bool:
    """Whether all processes have the same values, bit for bit."""
    if processes() == 1 or not tensors:
        return True
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    extremes = torch.cat([flat, -flat])
    dist.all_reduce(extremes, dist.ReduceOp.MAX)
    return bool(torch.equal(extremes[: len(flat)], -extremes[len(flat) :]))


def any_of(flag: bool) -> bool:
    """Whether it is so in any process. The processes wait for each other, but not for their devices."""
    if processes() == 1:
        return flag
    found = torch.tensor([flag], dtype=torch.uint8)
    dist.all_reduce(found, dist.ReduceOp.MAX, group=_group())
    return bool(found)


def of_all(state: Any) -> list[Any]:
    """What each process has, by their numbers: plain values, and tensors in the memory of the CPU."""
    if processes() == 1:
        return [state]
    states: list[Any] = [None] * processes()
    dist.all_gather_object(states, state, group=_group())
    return states


@functools.cache
def _group() -> dist.ProcessGroup | None:
    """All processes, for messages that do not lie on a device."""
    return None if dist.get_backend() == "gloo" else cast(dist.ProcessGroup, dist.new_group(backend="gloo"))


class Mean(Metric):
    """The mean over steps and processes of a number, in its own precision; it never waits for the device."""

    full_state_update = False
    total: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("steps", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: float = 1) -> None:
        """Count the number of one step, or one that is itself the mean of so many."""
        self.total = self.total + value.detach() * weight
        self.steps = self.steps + weight

    def compute(self) -> Tensor:
        """The mean so far."""
        return self.total / self.steps


class Total(torch.autograd.Function):
    """The sum over all processes, which can be differentiated as often as one likes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Add up."""
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """What all processes make of the sum depends on each one's part."""
        return _total(grads[0])


class SyncedBatchNorms(TorchFunctionMode):
    """Within it every batch norm in training takes the statistics of the whole batch, of all processes together.

    Gradients of any order are those of the whole batch too, once they are averaged over the processes; torch's own
    synchronised layer knows the first order and GPUs only.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace ``F.batch_norm``."""
        if func is torch.nn.functional.batch_norm:
            return batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` with the statistics of the images ``(batch, channels, h, w)`` of all processes."""
    if not training:
        return torch.batch_norm(
            x, weight, bias, running_mean, running_var, False, momentum, eps, torch.backends.cudnn.enabled
        )
    axes = [axis for axis in range(x.ndim) if axis != 1]
    count = x.numel() // x.shape[1] * processes()  # all processes have as many images
    centre = _total(x.sum(axes)) / count
    x = x - _channels(centre)
    variance = _total((x * x).sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(centre.to(running_mean), momentum)
            running_var.lerp_((variance * count / max(1, count - 1)).to(running_var), momentum)
    scale = (variance + eps).rsqrt() if weight is None else weight * (variance + eps).rsqrt()
    x = x * _channels(scale)
    return x if bias is None else x + _channels(bias)


def _total(x: Tensor) -> Tensor:
    return cast(Tensor, Total.apply(x))


def _channels(values: Tensor) -> Tensor:
    return values[None, :, None, None]
