"""Several networks of one architecture: one after another, or stacked into one call by `torch.func.vmap`.

    OMP_NUM_THREADS=1 python -m benchmarks.stacked

Different architectures run different operations, so the networks of one with different weights are the best case for
scoring in batches. Processor time on one thread, medians of paired ratios; the table is also written to a file.
"""

from __future__ import annotations

import copy
import statistics
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.measuring import Step, heading, parser, publish, speed, timed
from search_spaces.nasbench201 import NASBench201

CPU = torch.device("cpu")
TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
NETWORKS, REPEATS = 8, 9
CASES = ((4, 1, 8, 16), (4, 1, 16, 64), (16, 1, 32, 16), (16, 5, 32, 16))
"""Channels, cells a stage, pixels and batch."""


def ways(channels: int, cells: int, size: int, batch: int) -> dict[str, tuple[Step, Step]]:
    """For a pass forward, and for one with the gradients of all weights: one by one, and stacked."""
    space = NASBench201(channels, cells)
    torch.manual_seed(0)
    networks = [space.network(space.parse(TEXT)).train() for _ in range(NETWORKS)]
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    stack = {name: weight.detach() for name, weight in stack_module_state(networks)[0].items()}
    body = copy.deepcopy(networks[0])
    for norm in body.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean = norm.running_var = None
            norm.track_running_stats = False

    def logits(weights: dict[str, Tensor]) -> Any:
        return functional_call(body, (weights,), (images,))

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(logits(weights), labels)

    def gradients(network: nn.Module) -> Any:
        return torch.autograd.grad(F.cross_entropy(network(images), labels), list(network.parameters()))

    return {
        "forward": (
            torch.no_grad()(lambda: [network(images) for network in networks]),
            torch.no_grad()(lambda: vmap(logits)(stack)),
        ),
        "forward and back": (lambda: [gradients(one) for one in networks], lambda: vmap(grad(loss))(stack)),
    }


def main() -> None:
    """Measure, print and write."""
    parser(__doc__).parse_args()
    torch.set_num_threads(1)
    lines = [
        *heading(f"{NETWORKS} networks of one architecture, stacked", CPU, f"{REPEATS} repeats."),
        "| channels | cells a stage | pixels | batch | | ms each, one by one | stacked |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        for name, (one_by_one, stacked) in ways(*case).items():
            times = timed({"one": one_by_one, "stacked": stacked}, REPEATS, CPU)
            each = 1000 * statistics.median(times["one"]) / NETWORKS
            lines.append(
                f"| {' | '.join(map(str, case))} | {name} | {each:.1f} | {speed(times, 'stacked', 'one'):.2f}x |"
            )
    publish("\n".join(lines) + "\n", "stacked_cpu")


if __name__ == "__main__":
    main()
