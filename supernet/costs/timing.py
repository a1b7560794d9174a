"""How long operations and networks take on a device."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from search_spaces.operations import Operation
from supernet.costs.survey import Image, Shape

BLOCK = 0.01  # seconds that the calls between two looks at the clock take together, at least

Call = Callable[[], Tensor]
Module = TypeVar("Module", bound=nn.Module)


@torch.inference_mode()
def milliseconds(calls: Sequence[Call], threads: int, rounds: Iterable[int]) -> Tensor:
    """How long each call takes, ``(rounds, calls)``, after a warm-up.

    A round times all calls one after the other: if the device becomes slower meanwhile, it does so for all of them.
    Calls are timed in blocks with one wait for the device at the end, as in a network that never waits either.
    """
    timers = [Timer("call()", globals={"call": call}, num_threads=threads) for call in calls]
    counts = [max(1, int(BLOCK / timer.timeit(3).median)) for timer in timers]
    found = [[timer.timeit(count).median for timer, count in zip(timers, counts, strict=True)] for _ in rounds]
    return 1e3 * torch.tensor(found, dtype=torch.float64)


def operation_call(operation: Operation, shape: Shape, batch_size: int, device: torch.device) -> Call:
    """One operation as a cell of a stand-alone network runs it: with its ReLU and the addition to its node."""
    operation = _placed(operation, device)
    x, node = (_random((batch_size, *size), device) for size in (shape.input, shape.output))
    if operation.takes_relu:
        return lambda: node + operation(F.relu(x)).squeeze(1)
    return lambda: node + operation(x).squeeze(1)


def network_call(network: nn.Module, image: Image, batch_size: int, device: torch.device) -> Call:
    """A whole network in evaluation."""
    network = _placed(network, device)
    x = _random((batch_size, *image), device)
    return lambda: network(x)


def device_name(device: torch.device) -> str:
    """The name of the GPU or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _placed(module: Module, device: torch.device) -> Module:
    """In evaluation mode, in the memory format in which this framework trains."""
    placed: Module = module.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _random(size: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.randn(size, device=device).contiguous(memory_format=torch.channels_last)
