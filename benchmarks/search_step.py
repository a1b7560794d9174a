"""Time of one first-order search step: the batched supernet against the plain one, one module per edge and operation.

    OMP_NUM_THREADS=1 python benchmarks/search_step.py --channels 16 --cells 5 --batch 16 --repeats 7

Process CPU time on one thread, the two in turn, median of the paired ratios; random images of CIFAR's shape.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from search_spaces.nasbench201 import NASBench201
from search_spaces.operations import Form
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.mixed_level import MixedLevel
from supernet.modules.search import SearchModule
from supernet.relaxations.softmax import Softmax
from tests.search_spaces.plain import PlainNetwork


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("channels", 16), ("cells", 5), ("batch", 16), ("size", 32), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    space = NASBench201(args.channels, args.cells)
    steps: dict[str, Callable[[], None]] = {"plain": plain_step(space, args.batch, args.size)}
    steps["first_order"] = own_step(space, FirstOrder(), args.batch, args.size)
    steps["mixed_level"] = own_step(space, MixedLevel(), args.batch, args.size)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(args.repeats + 1):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if repeat:
                times[name].append(time.process_time() - start)
    print(f"torch {torch.__version__}, C={args.channels}, N={args.cells}, batch {args.batch}, {args.repeats} repeats")
    for name, values in times.items():
        ratio = statistics.median(p / v for p, v in zip(times["plain"], values, strict=True))
        print(f"{name:12} {1000 * statistics.median(values):8.1f} ms   {ratio:.2f}x")


def batches(batch: int, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.randn(batch, 3, size, size), torch.randint(10, (batch,))) for _ in range(2)]


def plain_step(space: NASBench201, batch: int, size: int) -> Callable[[], None]:
    """As published: a backward through everything for alpha, then one for the weights."""
    network = PlainNetwork(space.supernet(), space, Form(affine=False))
    alpha = (1e-3 * torch.randn(6, 5)).requires_grad_()
    weights, arch = (
        torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4),
        torch.optim.Adam([alpha], 3e-4),
    )
    train, valid = batches(batch, size)

    def step() -> None:
        for optimizer, (images, labels) in ((arch, valid), (weights, train)):
            optimizer.zero_grad()
            F.cross_entropy(network(images, {"cell": alpha.softmax(1)}), labels).backward()
            if optimizer is weights:
                torch.nn.utils.clip_grad_norm_(network.parameters(), 5)
            optimizer.step()

    return step


def own_step(space: NASBench201, formulation: FirstOrder | MixedLevel, batch: int, size: int) -> Callable[[], None]:
    """The search module's own step, its logging and optimizer wrappers replaced by the bare optimizers."""
    module = SearchModule(space, Softmax(), formulation, torch.optim.SGD, lambda p: torch.optim.Adam(p, 3e-4), None)
    optimizers = (
        torch.optim.SGD(module.network.parameters(), 0.025, 0.9, weight_decay=3e-4),
        torch.optim.Adam(module.alphas.parameters(), 3e-4),
    )
    module.optimizers = lambda: optimizers
    module.log = lambda *_, **__: None
    train, valid = [(x.contiguous(memory_format=torch.channels_last), y) for x, y in batches(batch, size)]
    return lambda: module.training_step({"train": train, "valid": valid}, 0)


if __name__ == "__main__":
    main()
