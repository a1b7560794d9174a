"""An epoch of search steps on a GPU, as they come, compiled and as CUDA graphs, against the plain steps.

    python -m benchmarks.throughput --space nasbench201
    python -m benchmarks.throughput --space darts --batches 64 256 --precisions 32-true bf16-mixed

An epoch is one of 50,000 images, half of them for the alphas, which lie on the device and are cropped and mirrored
there. All ways take turns of ``--steps`` steps; a table for each batch and precision tells the seconds of an epoch, how
often as fast as the plain steps that is, the memory that the first steps take for good, what the GPU runs in a step,
and the share of the floor: the time in which the device could read and write what goes into convolutions and matrix
products and comes out of them, at the speed at which it copies. First the alphas' gradients of each way are compared
with the plain ones in the same precision, and a step is done in which any wait for the device is an error.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.measuring import heading, once, parser, publish, speed
from benchmarks.step import SPACES, Batch, Own, Plain, module_for
from search_spaces.operations import Form
from supernet.data.synthetic import Synthetic
from supernet.formulations.first_order import FirstOrder

WAYS: dict[str, dict[str, bool]] = {
    "eager": {},
    "compiled": {"compiled": True},
    "graphs": {"captured": True},
    "compiled, graphs": {"compiled": True, "captured": True},
}
PRECISIONS = ("32-true", "bf16-mixed")
WARM_UP = 3  # steps: the first runs, the second records, the third is the first of all others
HEAVY = ("convolution", "mm", "addmm", "bmm", "linear")  # whose bytes are the floor


class Bytes(TorchDispatchMode):
    """Adds up what convolutions and matrix products read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count and run."""
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__.removesuffix("_backward").lstrip("_") in HEAVY:
            tensors = [one for one in pytree.tree_leaves((args, out)) if isinstance(one, Tensor)]
            self.total += sum(one.numel() * one.element_size() for one in tensors)
        return out


def bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of a large copy."""
    size = 2**30 if device.type == "cuda" else 2**26
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / min(once(lambda: target.copy_(source), device) for _ in range(5))


class Way:
    """Steps of one kind on batches that never end, in one precision."""

    def __init__(self, step: Callable[[Batch, Batch], object], source: Synthetic, device: torch.device) -> None:
        self.step = step
        self.source = source
        self.device = device
        self.halves: Iterator[tuple[Batch, Batch]] = iter(())

    def __call__(self) -> None:
        """One step, its batches included."""
        while (pair := next(self.halves, None)) is None:
            how = {"shuffle": True, "augment": True, "drop_last": True}
            parts = (self.source.batches(half, **how) for half in ("train", "valid"))  # type: ignore[arg-type]
            self.halves = zip(*parts, strict=False)
        self.step(*pair)

    def seconds(self, steps: int) -> float:
        """Of a step, the mean of so many."""
        return once(lambda: [self() for _ in range(steps)], self.device) / steps

    def never_waits(self) -> None:
        """Raise if a step waits for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
            try:
                self()
            finally:
                torch.cuda.set_sync_debug_mode("default")

    def kernels(self) -> str:
        """How many kernels, copies and fillings a GPU runs in a step."""
        if self.device.type != "cuda":
            return ""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            self()
            torch.cuda.synchronize()
        count = sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events() or [])
        return f"{count:,}"


def reserved(device: torch.device) -> float:
    """GiB that torch holds of a GPU, graphs included, when nothing is left that could go."""
    if device.type != "cuda":
        return float("nan")
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved() / 2**30


def difference(way: Own, expected: Sequence[Tensor], halves: tuple[Batch, Batch]) -> float:
    """The largest difference of the alphas' gradients from the expected ones, over the largest of these."""
    problem = way.problem(halves[0])
    for _ in range(WARM_UP):
        found = way.module.formulation.arch_grads(problem, *halves)
    largest = max(float(one.abs().max()) for one in expected)
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)) / largest


def table(args: Any, device: torch.device, batch: int, precision: str, copied: float) -> list[str]:
    """One batch size and precision."""
    kind, _ = SPACES[args.space]
    source = Synthetic(size=args.size, num_images=args.images, batch_size=batch, crop_padding=4, flip=True)
    source.to(device)
    half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
    before = reserved(device)
    plain = Plain(module_for(kind(), torch.float32, device), Form(affine=False, pool_norm=args.space == "darts"))
    plain.network.to(device)
    count = args.images // 2 // batch
    if count <= WARM_UP + 1:
        raise SystemExit(f"--images {args.images} make {count} batches of {batch} in each half, which are too few")

    def published(train: Batch, valid: Batch) -> None:
        with half:
            plain.step(*((images.contiguous(), labels) for images, labels in (train, valid)))

    ways = {"plain": Way(published, source, device)}
    memory, differences = {}, {"plain": ""}
    pair = next(zip(*(source.batches(name) for name in ("train", "valid")), strict=False))
    with half:
        expected = torch.autograd.grad(plain.loss(pair[1]), list(plain.alphas.values()))
    ways["plain"].seconds(WARM_UP)
    memory["plain"] = reserved(device) - before
    owns = []
    for name in args.ways:
        before = reserved(device)
        own = Own(module_for(kind(), torch.float32, device, **WAYS[name]), FirstOrder())
        owns.append(own)

        def step(train: Batch, valid: Batch, own: Own = own) -> None:
            with half:
                own.module.training_step({"train": train, "valid": valid}, 1)

        ways[name] = Way(step, source, device)
        with half:
            differences[name] = f"{difference(own, expected, pair):.0e}"
        ways[name].seconds(WARM_UP)
        ways[name].never_waits()
        memory[name] = reserved(device) - before
    with Bytes() as moved:
        (ways.get("eager") or ways["plain"])()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.repeats):
        for name, way in ways.items():
            times[name].append(way.seconds(min(args.steps, count)))
    kernels = {name: way.kernels() for name, way in ways.items()}
    for own in owns:
        own.module.on_fit_end()  # its recordings go
    floor = moved.total / copied
    lines = [
        "",
        f"Batch {batch}, {precision}: {count} steps an epoch, floor {count * floor:.2f} s "
        f"({moved.total / 2**20:.0f} MiB a step).",
        "",
        "| | s an epoch | ms a step | speed | of the floor | GiB | kernels | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, values in times.items():
        each = statistics.median(values)
        lines.append(
            f"| {name} | {count * each:.2f} | {1000 * each:.2f} | {speed(times, name, 'plain'):.2f}x | "
            f"{floor / each:.0%} | {memory[name]:.2f} | {kernels[name]} | {differences[name]} |"
        )
    return lines


def main() -> None:
    """Measure, print and write."""
    made = parser(__doc__, size=32, steps=50, repeats=3, images=50_000)
    made.add_argument("--space", choices=SPACES, default="nasbench201")
    made.add_argument("--batches", type=int, nargs="*", default=[64, 256])
    made.add_argument("--precisions", nargs="*", choices=PRECISIONS, default=list(PRECISIONS))
    made.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    made.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = made.parse_args()
    device = torch.device(args.device)
    if device.type != "cuda" and any("captured" in WAYS[name] for name in args.ways):
        made.error("--ways: CUDA graphs need a GPU")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.manual_seed(0)
    copied = bandwidth(device)
    facts = f"{args.size}x{args.size} pixels, {args.repeats} turns of {args.steps} steps, {copied / 1e12:.2f} TB/s."
    lines = heading(f"An epoch of search steps on {args.space}", device, facts)
    for batch in args.batches:
        for precision in args.precisions:
            lines += table(args, device, batch, precision, copied)
    publish("\n".join(lines) + "\n", f"throughput_{args.space}_{args.device}")


if __name__ == "__main__":
    main()
