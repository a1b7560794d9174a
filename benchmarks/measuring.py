"""What benchmarks of seconds share: steps in turn, processor time, and what it was measured on."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"
Step = Callable[[], object]


def timed(steps: dict[str, Step], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each step, in turn; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            seconds = on_cuda(step) if device.type == "cuda" else on_cpu(step)
            if repeat:
                times[name].append(seconds)
    return times


def on_cpu(step: Step) -> float:
    """Processor time of a step."""
    start = time.process_time()
    step()
    return time.process_time() - start


def on_cuda(step: Step) -> float:
    """Time between two events around a step."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    events[0].record()
    step()
    events[1].record()
    torch.cuda.synchronize()
    return events[0].elapsed_time(events[1]) / 1000


def processor(device: torch.device) -> str:
    """What it was measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"one thread of {names[0] if names else platform.processor()}"
