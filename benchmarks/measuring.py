"""What benchmarks of seconds share: steps in turn, processor time, and what it was measured on."""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
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
            seconds = once(step, device)
            if repeat:
                times[name].append(seconds)
    return times


def once(step: Step, device: torch.device) -> float:
    """Seconds of one step."""
    return on_cuda(step) if device.type == "cuda" else on_cpu(step)


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


def speed(times: dict[str, list[float]], name: str, reference: str) -> float:
    """How often as fast as the reference: the median of the ratios of each turn."""
    return statistics.median(one / other for one, other in zip(times[reference], times[name], strict=True))


def parser(doc: str | None, **defaults: int | None) -> argparse.ArgumentParser:
    """Of a benchmark's command line, with these whole numbers to choose."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        made.add_argument(f"--{name}", type=int, default=default)
    return made


def heading(title: str, device: torch.device, facts: str) -> list[str]:
    """The first lines of a table: what was measured, when, on and with what."""
    day = datetime.date.today()
    return [f"# {title}", "", f"{day}, {processor(device)}, torch {torch.__version__}, {facts}", ""]


def publish(table: str, name: str) -> None:
    """Print a table, and keep it under today's date."""
    print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{datetime.date.today()}_{name}.md").write_text(table)


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
