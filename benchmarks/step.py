"""One search step: the batched supernet against the plain one, one module for each edge and operation.

    OMP_NUM_THREADS=1 python -m benchmarks.step --space nasbench201
    OMP_NUM_THREADS=1 python -m benchmarks.step --space darts

The plain steps are in the order of the published loops: for the alphas a backward pass through everything, then one for
the weights; second order with a copy of the model (Liu et al., 2019). The steps take turns, and a ratio is the median
of those of each turn. On a CPU the time is that of the process on one thread; on CUDA it is between two events.

Before that, in float64 and float32, the gradients of alphas and weights are compared with the plain ones on a network
of few cells, the median and the largest of five batches: a rounding error can turn a ReLU over or choose another of two
nearly equal pixels to pool, and in deep networks the plain gradient itself is 1e-2 from that in float64. Operator calls
(views left out) and the most memory that is alive are counted. The table is also written to a file.
"""

from __future__ import annotations

import argparse
import collections
import copy
import functools
import statistics
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.measuring import Step, heading, parser, publish, speed, timed
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.operations import Form
from search_spaces.space import SearchSpace
from supernet.formulations.base import Formulation, Problem
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.second_order import SecondOrder
from supernet.memory import Live
from supernet.modules.search import SearchModule
from supernet.relaxations.softmax import Softmax
from tests.search_spaces.plain import PlainNetwork

Batch = tuple[Tensor, Tensor]
SPACES = {"nasbench201": (NASBench201, 16), "darts": (DARTS, 8)}
"""Each space at its published size, and the batch that it is measured with."""


class Plain:
    """The published loops on a plain copy of a supernet."""

    def __init__(self, module: SearchModule, form: Form) -> None:
        self.network = PlainNetwork(module.network, module.space, form)
        self.network.to(memory_format=torch.contiguous_format)  # published code has channels first
        self.alphas = {cell: module.alphas[cell].detach().clone().requires_grad_() for cell in module.space.edges}
        self.weights_optimizer = torch.optim.SGD(self.network.parameters(), 0.025, 0.9, weight_decay=3e-4)
        self.arch_optimizer = torch.optim.Adam(self.alphas.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def loss(self, batch: Batch, network: nn.Module | None = None) -> Tensor:
        """Of a batch."""
        mixture = {cell: alpha.softmax(1) for cell, alpha in self.alphas.items()}
        return F.cross_entropy((network or self.network)(batch[0], mixture), batch[1])

    def step(self, train: Batch, valid: Batch) -> None:
        """Alphas, then weights; each backward pass goes through everything."""
        self.arch_optimizer.zero_grad()
        self.loss(valid).backward()
        self.arch_optimizer.step()
        self.weights_optimizer.zero_grad()
        self.loss(train).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5)
        self.weights_optimizer.step()

    def second_order(self, train: Batch, valid: Batch, lr: float = 0.025) -> list[Tensor]:
        """The gradient of the alphas after one virtual step, which a copy of the model takes."""
        weights, alphas = list(self.network.parameters()), list(self.alphas.values())
        grads = torch.autograd.grad(self.loss(train), weights)
        moved = copy.deepcopy(self.network)
        with torch.no_grad():
            for weight, grad in zip(moved.parameters(), grads, strict=True):
                weight -= lr * (grad + 3e-4 * weight)
        self.loss(valid, moved).backward()
        direct = [alpha.grad.clone() for alpha in alphas if alpha.grad is not None]
        vector = [weight.grad for weight in moved.parameters() if weight.grad is not None]
        for alpha in alphas:
            alpha.grad = None
        radius = 0.01 / torch.cat([part.flatten() for part in vector]).norm()
        sides = []
        for shift in (radius, -2 * radius, radius):
            with torch.no_grad():
                for weight, part in zip(weights, vector, strict=True):
                    weight += shift * part
            if len(sides) < 2:
                sides.append(torch.autograd.grad(self.loss(train), alphas))
        return [g - lr * (p - n) / (2 * radius) for g, p, n in zip(direct, *sides, strict=True)]


class Own:
    """The search module's own step, with bare optimizers and without its log."""

    def __init__(self, module: SearchModule, formulation: Formulation) -> None:
        self.module = module
        module.formulation = formulation
        self.optimizers = module.configure_optimizers()[0]
        module.optimizers = lambda: self.optimizers
        module.log = lambda *_, **__: None

    def step(self, train: Batch, valid: Batch) -> None:
        """One of the search."""
        self.module.training_step({"train": train, "valid": valid}, 0)

    def problem(self, train: Batch) -> Problem:
        """What a formulation gets in a step."""
        return self.module._problems(self.optimizers[0], train, 0, {})[0]

    def arch_grads(self, train: Batch, valid: Batch) -> Sequence[Tensor]:
        """The gradient of the alphas alone."""
        return self.module.formulation.arch_grads(self.problem(train), train, valid)


class Calls(TorchDispatchMode):
    """Counts operator calls within it, views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count and run."""
        returns = func._schema.returns
        if not any(one.alias_info is not None and not one.alias_info.is_write for one in returns):
            self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def module_for(space: SearchSpace, dtype: torch.dtype, device: torch.device, **options: Any) -> SearchModule:
    """A supernet with its alphas, which are not all alike, and these further options of the search."""
    sgd = functools.partial(torch.optim.SGD, lr=0.025, momentum=0.9, weight_decay=3e-4)
    adam = functools.partial(torch.optim.Adam, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    constant = functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    module = SearchModule(space, Softmax(), FirstOrder(), sgd, adam, constant, **options).to(device, dtype)
    with torch.no_grad():
        for alpha in module.alphas.parameters():
            alpha += torch.randn(alpha.shape, generator=torch.Generator().manual_seed(1)).to(alpha)
    return module


def batches(batch: int, size: int, dtype: torch.dtype, device: torch.device, seed: int = 0) -> tuple[Batch, Batch]:
    """Random images for both halves, channels last."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(2):
        images = torch.randn(batch, 3, size, size, generator=generator).to(device, dtype)
        labels = torch.randint(10, (batch,), generator=generator).to(device)
        made.append((images.contiguous(memory_format=torch.channels_last), labels))
    return made[0], made[1]


def disagreement(
    space: SearchSpace, form: Form, dtype: torch.dtype, batch: int, size: int, seed: int
) -> dict[str, float]:
    """The largest difference from the plain gradients, over the largest of them, and that of a second-order step."""
    device = torch.device("cpu")
    module = module_for(space, dtype, device)
    plain, own = Plain(module, form), Own(module, FirstOrder())
    train, valid = batches(batch, size, dtype, device, seed)
    problem = own.problem(train)
    found = {"alphas": _difference(own.arch_grads(train, valid), _grads(plain.loss(valid), plain.alphas.values()))}
    reference = copy.deepcopy(plain.network)
    names = [name for name, _ in module.network.named_parameters()]
    mine = module.formulation.weight_grads(problem, train, valid)
    reference.load(dict(zip(names, mine, strict=True)), module.network)
    found["weights"] = _difference(
        [one.detach() for one in reference.parameters()], _grads(plain.loss(train), plain.network.parameters())
    )
    if dtype == torch.float64:  # a finite difference of single precision differs by its own rounding
        module.formulation = SecondOrder()
        for group in own.optimizers[0].param_groups:
            group["momentum"] = 0.0
        found["second order"] = _difference(own.arch_grads(train, valid), plain.second_order(train, valid))
    return found


def _grads(loss: Tensor, inputs: Any) -> Sequence[Tensor]:
    return torch.autograd.grad(loss, list(inputs))


def _difference(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    largest = max(float(other.abs().max()) for other in others)
    return max(float((one - other).abs().max()) for one, other in zip(ones, others, strict=True)) / largest


def counted(step: Step, lasting: Sequence[Tensor], device: torch.device) -> tuple[int, float]:
    """Operator calls of a step, and the MiB that are alive at most beside what lasts."""
    with Calls() as calls:
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return calls.counts.total(), (torch.cuda.max_memory_allocated() - before) / 2**20
    with Live(lasting) as live:
        step()
    return calls.counts.total(), live.peak / 2**20


def report(args: argparse.Namespace) -> str:
    """Measure; a table in Markdown."""
    device = torch.device(args.device)
    kind, batch = SPACES[args.space]
    batch, form = args.batch or batch, Form(affine=False, pool_norm=args.space == "darts")
    facts = f"batch {batch}, {args.size}x{args.size} pixels, {args.repeats} repeats."
    lines = heading(f"A search step on {args.space}", device, facts)
    small = kind(16, 2) if args.space == "nasbench201" else kind(4, 3)
    for dtype in (torch.float64, torch.float32):
        found = [disagreement(small, form, dtype, 8, args.size, seed) for seed in range(5)]
        told = ", ".join(
            f"{name} {statistics.median(one[name] for one in found):.0e} "
            f"({max(one[name] for one in found):.0e})" for name in found[0]
        )  # fmt: skip
        lines.append(f"* difference from the plain gradients in {str(dtype).removeprefix('torch.')}: {told}")
    space = kind()
    train, valid = batches(batch, args.size, torch.float32, device)
    images = [(x.contiguous(), labels) for x, labels in (train, valid)]
    plain = Plain(module_for(space, torch.float32, device), form)
    plain.network.to(device)
    owns = {
        "first order": Own(module_for(space, torch.float32, device), FirstOrder()),
        "mixed level": Own(module_for(space, torch.float32, device), MixedLevel()),
        "second order": Own(module_for(space, torch.float32, device), SecondOrder()),
    }
    lines += [
        "",
        "| step | ms | speed | operator calls | most memory [MiB] | of the plain one |",
        "|---|---|---|---|---|---|",
    ]
    pairs: list[dict[str, tuple[Step, Sequence[Tensor]]]] = [
        {
            "plain": (lambda: plain.step(*images), list(plain.network.parameters())),
            **{
                name: (lambda own=owns[name]: own.step(train, valid), list(owns[name].module.parameters()))
                for name in ("first order", "mixed level")
            },
        },
        {
            "plain second order, alphas": (
                lambda: plain.second_order(*images), list(plain.network.parameters())
            ),
            "second order, alphas": (
                lambda: owns["second order"].arch_grads(train, valid),
                list(owns["second order"].module.parameters()),
            ),
        },
    ]  # fmt: skip
    for steps in pairs:
        times = timed({name: step for name, (step, _) in steps.items()}, args.repeats, device)
        first = next(iter(steps))
        counts = {name: counted(step, lasting, device) for name, (step, lasting) in steps.items()}
        for name, values in times.items():
            calls, peak = counts[name]
            lines.append(
                f"| {name} | {1000 * statistics.median(values):.1f} | {speed(times, name, first):.2f}x | {calls:,} | "
                f"{peak:.0f} | {peak / counts[first][1]:.2f} |"
            )
    return "\n".join(lines) + "\n"


def arguments(doc: str | None, repeats: int) -> argparse.Namespace:
    """The command line of what measures steps; also fixes threads and seed."""
    made = parser(doc, size=32, repeats=repeats)
    made.add_argument("--space", choices=SPACES, default="nasbench201")
    made.add_argument("--batch", type=int, help="16 on NAS-Bench-201 and 8 on DARTS's space unless given")
    made.add_argument("--device", default="cpu")
    args = made.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return args


def main() -> None:
    """Measure, print and write."""
    args = arguments(__doc__, repeats=7)
    publish(report(args), f"step_{args.space}_{args.device}")


if __name__ == "__main__":
    main()
