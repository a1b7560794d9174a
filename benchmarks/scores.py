"""Scores of untrained networks against the published ways to compute them, on NAS-Bench-201 at full size.

    OMP_NUM_THREADS=1 python -m benchmarks.scores
    OMP_NUM_THREADS=1 python -m benchmarks.scores --batch 64 --architectures 4 --scored 0

The plain ways look at networks with one module for each edge, channels first. KNAS: a backward pass for each image and
the Gram matrix of all gradients (Xu et al., 2021), or those of `torch.func.vmap`; with batches of one image, and with
batch norms that are frozen. NASWOT: a pass forward and back, then one forward with a hook at each ReLU (Mellor et al.,
2021). Several scores: each by itself. The two take turns on one thread; a ratio is the median of those of all turns.

Scores are compared in float64 and in float32, and in float32 also on networks of one cell a stage: deep networks make a
rounding error a thousand times larger, so the plain way's own, from what it gives in float64, stands beside. At last
many small architectures are scored, and what stays in memory is counted.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.measuring import heading, parser, publish, speed, timed
from benchmarks.plain_scores import gram_of_all, hooked, loop
from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import CELL, EDGES, NONE, NASBench201
from supernet.estimators.base import Task
from supernet.estimators.features.measured import Measurements
from supernet.estimators.proxies.expressivity import Expressivity
from supernet.estimators.proxies.grad_norm import GradNorm
from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.jacob_cov import JacobCov, jacobian_score
from supernet.estimators.proxies.knas import KNAS, gradients_of, gram_mean
from supernet.estimators.proxies.layers import weights
from supernet.estimators.proxies.naswot import NASWOT, naswot
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.proxies.one_pass import OnePass, Pass
from supernet.estimators.proxies.plain import Plain
from supernet.estimators.proxies.progressivity import Progressivity
from supernet.estimators.proxies.snip import SNIP
from supernet.estimators.proxies.synflow import SynFlow
from supernet.estimators.proxies.trainability import Trainability
from supernet.samples import Samples
from tests.supernet.estimators.tasks import Published

CPU = torch.device("cpu")
Ways = dict[str, Callable[[], Any]]
"""The plain way, under ``plain``, and ours."""


class Pair:
    """A network of an architecture, its published form of the same weights, and what both look at."""

    def __init__(self, task: Task, architecture: Architecture, batch: int, dtype: torch.dtype, frozen: bool) -> None:
        images, self.labels = task.samples.batch(batch)
        self.last = images.to(dtype, memory_format=torch.channels_last)
        self.first = self.last.contiguous()
        torch.manual_seed(1)
        self.network = task.space.network(architecture).to(dtype).train()
        if frozen:
            with torch.no_grad():
                frozen_statistics(self.network, self.last)
        self.published = Published(self.network, task.space, architecture).to(dtype).train(not frozen)

    def knas(self, frozen: bool) -> Ways:
        """A backward pass for each image, `torch.func.vmap`, and ours."""
        how = "batch" if frozen else "instance"
        names = {name for name, one in self.network.named_parameters() if any(one is w for w in weights(self.network))}

        def by_vmap() -> float:
            with normalised(how):
                found = gradients_of(self.network, names, self.last, self.labels)
            return sum(gram_of_all(rows) for rows in found.values())

        def ours() -> float:
            with normalised(how):
                return float(gram_mean(self.network, self.last, self.labels))

        return {
            "plain": functools.partial(loop, self.published, self.first, self.labels),
            "vmap": by_vmap,
            "ours": ours,
        }

    def naswot(self) -> Ways:
        """Two passes forward and one back with a hook for each ReLU, and ours."""
        return {
            "plain": functools.partial(hooked, self.published, self.first),
            "ours": lambda: float(naswot(self.network, self.last)),
        }

    def jacob_cov(self, task: Task) -> Ways:
        """The same passes through modules for each edge, and ours."""

        def plain() -> float:
            images = self.first.clone().requires_grad_()
            self.published(images).backward(self.first.new_ones(len(images), task.space.num_classes))
            assert images.grad is not None
            return float(jacobian_score(images.grad.flatten(1)))

        return {"plain": plain, "ours": lambda: JacobCov(task, 2).measure(self.network, self.last, self.labels)}

    def several(self, task: Task, kinds: Sequence[type[OnePass]]) -> Ways:
        """Scores that are measured one by one, and from one pass."""
        parts = [kind(task, len(self.labels)) for kind in kinds]
        needs = frozenset(need for part in parts for need in part.needs)

        def alone() -> list[float]:
            return [part.measure(self.network, self.last, self.labels) for part in parts]

        def shared() -> list[float]:
            seen = Pass(self.network, self.last, self.labels, needs)
            return [part.of(seen) for part in parts]

        return {"plain": alone, "ours": shared}


def drawn(space: NASBench201, count: int) -> list[Architecture]:
    """Random architectures in which something leads to every node, as the plain networks need."""
    found = space.sample(100 * count, torch.Generator().manual_seed(0))
    ends = [end for _, end in EDGES]

    def leads_everywhere(one: Architecture) -> bool:
        chosen = [end for end, operation in zip(ends, one[CELL], strict=True) if operation != NONE]
        return space.is_valid(one) and set(chosen) == set(ends)

    return [one for one in found if leads_everywhere(one)][:count]


def task_for(space: NASBench201, size: int, count: int) -> Task:
    """Random images, channels last as those of data sets, with balanced labels."""
    images = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(count) % space.num_classes
    return Task(space, Samples.of(images.contiguous(memory_format=torch.channels_last), labels, space.num_classes))


SCORES: dict[str, Callable[[Task, Architecture, int, torch.dtype], Ways]] = {
    "KNAS": lambda task, one, batch, dtype: Pair(task, one, batch, dtype, False).knas(False),
    "KNAS, frozen batch norms": lambda task, one, batch, dtype: Pair(task, one, batch, dtype, True).knas(True),
    "NASWOT": lambda task, one, batch, dtype: Pair(task, one, batch, dtype, False).naswot(),
    "Jacobian covariance": lambda task, one, batch, dtype: Pair(task, one, batch, dtype, False).jacob_cov(task),
    "SNIP, gradient norm, plain, Jacobian covariance": lambda task, one, batch, dtype: Pair(
        task, one, batch, dtype, False
    ).several(task, (SNIP, GradNorm, Plain, JacobCov)),
    "expressivity, progressivity, trainability": lambda task, one, batch, dtype: Pair(
        task, one, batch, dtype, False
    ).several(task, (Expressivity, Progressivity, Trainability)),
}


def difference(one: Any, other: Any) -> float:
    """The largest relative difference of two scores, or of several."""
    pairs = zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]
    return max(abs(a - b) / abs(b) for a, b in pairs)


def spread(found: Sequence[float]) -> str:
    """The median and the largest."""
    return f"{statistics.median(found):.0e} ({max(found):.0e})"


def differences(task: Task, architectures: Sequence[Architecture], name: str, batch: int) -> tuple[str, str, str]:
    """Over architectures: ours from the plain way in float64, in float32, and the plain way's own rounding."""
    found = []
    for architecture in architectures:
        values: dict[tuple[str, torch.dtype], Any] = {}
        for dtype in (torch.float64, torch.float32):
            ways = SCORES[name](task, architecture, batch, dtype)
            for way in ("ours", "plain"):
                torch.manual_seed(2)
                values[way, dtype] = ways[way]()
        double, single = values["plain", torch.float64], values["plain", torch.float32]
        found.append((
            difference(values["ours", torch.float64], double), difference(values["ours", torch.float32], single),
            difference(single, double),
        ))  # fmt: skip
    first, second, third = (spread(column) for column in zip(*found, strict=True))
    return first, second, third


def kept(count: int) -> str:
    """What stays in memory of so many small architectures."""
    task = task_for(NASBench201(4, 1), 8, 64)
    kinds: dict[str, Any] = {
        "knas": KNAS, "naswot": NASWOT, "jacob_cov": JacobCov, "snip": SNIP, "synflow": SynFlow,
        "expressivity": Expressivity, "trainability": Trainability,
    }  # fmt: skip
    features = Measurements(task, {name: functools.partial(kind, batch_size=8) for name, kind in kinds.items()})
    architectures = task.space.sample(count, torch.Generator().manual_seed(0))
    seen: list[tuple[int, float]] = []
    for index, architecture in enumerate(architectures, start=1):
        features.table([architecture])
        if index in (count // 10, count):
            gc.collect()
            alive = sum(issubclass(type(one), Tensor) for one in gc.get_objects())
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            seen.append((alive, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
    (tensors, before), (later, after) = seen
    return (
        f"{count:,} architectures (4 channels, one cell a stage) by {len(kinds)} scores in one process: from the "
        f"{count // 10:,}th to the last one {later - tensors:+d} tensors alive, {after - before:+.1f} MiB resident"
    )


def report(args: argparse.Namespace) -> str:
    """Measure; a table in Markdown."""
    space = NASBench201()
    task = task_for(space, args.size, 10 * args.batch)
    small = task_for(NASBench201(cells_per_stage=1), args.size, 10 * args.batch)
    architectures = drawn(space, args.architectures)
    facts = (
        f"batch {args.batch}, {args.size}x{args.size} pixels, {len(architectures)} architectures, "
        f"{args.repeats} repeats. Differences from the plain way, relative: the median (the largest); "
        '"its rounding" is that of the plain way in float32.'
    )
    lines = [
        *heading("Scores on NAS-Bench-201", CPU, facts),
        "| score | plain ms | ms | speed | float64 | float32 | its rounding | one cell a stage | its rounding |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, ways in SCORES.items():
        times: dict[str, list[float]] = {}
        for architecture in architectures:
            found = timed(ways(task, architecture, args.batch, torch.float32), args.repeats, CPU)
            for way, seconds in found.items():
                times.setdefault(way, []).extend(seconds)
        deep = differences(task, architectures, name, args.batch)
        flat = differences(small, architectures, name, args.batch)
        told = " | ".join((*deep, *flat[1:]))
        for way in (one for one in times if one != "ours"):
            ratio = speed(times, "ours", way)
            plain, ours = (1000 * statistics.median(times[one]) for one in (way, "ours"))
            label = name if way == "plain" else f"{name}, by {way}"
            lines.append(
                f"| {label} | {plain:.1f} | {ours:.1f} | {ratio:.2f}x | {told if way == 'plain' else ' | | | | '} |"
            )
    builds = [
        seconds
        for one in architectures
        for seconds in timed({"build": functools.partial(space.network, one)}, args.repeats, CPU)["build"]
    ]
    lines += ["", f"* a network is built in {1000 * statistics.median(builds):.1f} ms"]
    if args.scored:
        lines.append(f"* {kept(args.scored)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    made = parser(__doc__, batch=16, size=32, architectures=8, repeats=3)
    made.add_argument("--scored", type=int, default=1000, help="small architectures; 0 for none")
    args = made.parse_args()
    torch.set_num_threads(1)
    publish(report(args), f"scores_batch{args.batch}_cpu")


if __name__ == "__main__":
    main()
