"""What takes less memory, and what that costs in time: one search step, against the plain one.

    OMP_NUM_THREADS=1 python -m benchmarks.memory --space nasbench201
    OMP_NUM_THREADS=1 python -m benchmarks.memory --space darts

Steps and measures are those of `benchmarks.step`: the most bytes alive within a step beside the weights, and paired
ratios of processor time, or of time on the device. The gradients with recomputation are compared with those without
first, in float64. With bf16 the weights' gradients are in half precision and the alphas' are not.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import torch

from benchmarks.measuring import heading, publish, speed, timed
from benchmarks.step import SPACES, Own, Plain, arguments, batches, counted, module_for
from search_spaces.operations import Form
from supernet.formulations.first_order import FirstOrder

STEPS: dict[str, dict[str, Any]] = {
    "first order": {},
    "`recompute=cell`": {"recompute": "cell"},
    "`recompute=operation`": {"recompute": "operation"},
    "`partial_channels=4`": {"partial_channels": 4},
    "`trainer.precision=bf16-mixed`": {"half": "32-true"},
    "the same with `arch_precision=bf16-mixed`": {"half": "bf16-mixed"},
}


def own(space: Any, device: torch.device, recompute: Any = None, partial_channels: int = 1, half: str = "") -> Own:
    """A search module with these settings."""
    module = module_for(space, torch.float32, device)
    module.recompute, module.arch_precision = recompute, half or "32-true"
    if partial_channels > 1:
        module.rebuild(space, partial_channels, fresh=True)
    module.network.recompute(recompute)
    return Own(module.to(device), FirstOrder())


def difference(space: Any, batch: int, size: int) -> float:
    """The largest difference in float64 that recomputation makes in any gradient, over the largest gradient."""
    halves = batches(batch, size, torch.float64, torch.device("cpu"))
    found = []
    for what in (None, "cell", "operation"):
        module = module_for(space, torch.float64, torch.device("cpu"))
        module.network.recompute(what)
        step = Own(module, FirstOrder())
        arch = step.arch_grads(*halves)
        found.append([*arch, *module.formulation.weight_grads(step.problem(halves[0]), *halves)])
    largest = max(float(one.abs().max()) for one in found[0])
    return max(
        float((one - other).abs().max()) / largest
        for others in found[1:]
        for one, other in zip(found[0], others, strict=True)
    )


def report(args: argparse.Namespace) -> str:
    """Measure; a table in Markdown."""
    device = torch.device(args.device)
    kind, batch = SPACES[args.space]
    batch = args.batch or batch
    train, valid = batches(batch, args.size, torch.float32, device)
    images = [(x.contiguous(), labels) for x, labels in (train, valid)]
    plain = Plain(module_for(kind(), torch.float32, device), Form(affine=False, pool_norm=args.space == "darts"))
    plain.network.to(device)
    steps: dict[str, Any] = {"plain": lambda: plain.step(*images)}
    lasting = {"plain": list(plain.network.parameters())}
    for name, settings in STEPS.items():
        made = own(kind(), device, **settings)

        def step(made: Own = made, half: bool = "half" in settings) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                # not batch 0, in which half precision is compared with single
                made.module.training_step({"train": train, "valid": valid}, 1)

        steps[name] = step
        lasting[name] = list(made.module.parameters())
    times = timed(steps, args.repeats, device)
    peaks = {name: counted(step, lasting[name], device)[1] for name, step in steps.items()}
    small = kind(16, 2) if args.space == "nasbench201" else kind(4, 3)
    facts = (
        f"batch {batch}, {args.size}x{args.size} pixels, {args.repeats} repeats. Largest difference by recomputation "
        f"in float64: {difference(small, 8, args.size):.0e}."
    )
    lines = [
        *heading(f"Memory of a search step on {args.space}", device, facts),
        "| step | most memory [MiB] | of the plain one | ms | speed |",
        "|---|---|---|---|---|",
    ]
    for name, values in times.items():
        lines.append(
            f"| {name} | {peaks[name]:.0f} | {peaks[name] / peaks['plain']:.2f} | "
            f"{1000 * statistics.median(values):.0f} | {speed(times, name, 'plain'):.2f}x |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    args = arguments(__doc__, repeats=5)
    publish(report(args), f"memory_{args.space}_{args.device}")


if __name__ == "__main__":
    main()
