"""NAS-Bench-201: a cell of four nodes and six edges, five operations on each: 15,625 architectures.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", 2020, arXiv:2001.00326;
also the topology space of NATS-Bench, arXiv:2009.00437.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.architecture import Allowed, Architecture
from search_spaces.cell import Cell
from search_spaces.layers import GlobalPool
from search_spaces.network import Network
from search_spaces.operations import Builder, Form
from search_spaces.space import SearchSpace
from search_spaces.wiring import Wiring

CELL = "cell"
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP = OPERATIONS.index("none"), OPERATIONS.index("skip_connect")


class ReductionBlock(nn.Module):
    """The fixed residual block that halves the image and doubles the channels between stages."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm_a = nn.BatchNorm2d(out_channels)
        self.conv_b = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm_b = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, C, h, w)`` to ``(batch, 2C, h / 2, w / 2)``; odd sizes are rounded up."""
        y = self.norm_a(self.conv_a(F.relu(x)))
        y = self.norm_b(self.conv_b(F.relu(y)))
        # ceil_mode changes nothing on even sizes, which the benchmark has, and lets odd ones pass.
        return y + self.shortcut(F.avg_pool2d(x, 2, stride=2, ceil_mode=True))


class NASBench201(SearchSpace):
    """The space and its skeleton: stem, three stages of cells with a reduction block between them, head.

    Args:
        channels: channels of the first stage (16 in the benchmark).
        cells_per_stage: 5 in the benchmark.
        in_channels: channels of the images.
        num_classes: classes.
        extra_operations: further candidates by name.
    """

    name = "nasbench201"
    least_depth = MappingProxyType({"cells_per_stage": 1})

    def __init__(
        self,
        channels: int = 16,
        cells_per_stage: int = 5,
        in_channels: int = 3,
        num_classes: int = 10,
        extra_operations: Mapping[str, Builder] | None = None,
    ) -> None:
        for key, value in (("channels", channels), ("cells_per_stage", cells_per_stage), ("in_channels", in_channels)):
            if value < 1:
                raise ValueError(f"{key} is {value}: it must be at least 1")
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}: a classifier needs at least 2")
        self.channels = channels
        self.cells_per_stage = cells_per_stage
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.edges = {CELL: EDGES}
        self.extra_operations = dict(extra_operations or {})
        self.operations = {CELL: (*OPERATIONS, *self.extra_operations)}
        self.allowed = {CELL: torch.ones(len(EDGES), len(self.operations[CELL]), dtype=torch.bool)}

    def build(self, allowed: Allowed, *, searching: bool, partial_channels: int = 1) -> Network:
        """See `SearchSpace.build`. Convolutions have no bias."""
        wiring = Wiring(EDGES, self.operations[CELL], allowed[CELL])
        form = Form(affine=not searching, extra=self.extra_operations)
        width = self.channels
        stem = nn.Sequential(nn.Conv2d(self.in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        trunk: list[nn.Module] = []
        for stage in range(3):
            if stage:
                trunk.append(ReductionBlock(width, 2 * width))
                width *= 2
            trunk += [Cell(CELL, wiring, width, form, partial=partial_channels) for _ in range(self.cells_per_stage)]
        head = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), GlobalPool(), nn.Flatten(), nn.Linear(width, self.num_classes)
        )
        return Network({CELL: wiring}, stem, trunk, head)

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether a path without ``none`` leads from the input to the output (341 architectures have none)."""
        return 0 in _leading_to_output(architecture)

    def has_no_dangling_operation(self, architecture: Architecture) -> bool:
        """Whether every edge but the ``none`` ones lies on a path from input to output.

        9,445 architectures, the one of ``none`` alone among them.
        """
        forward, backward = _reached_from_input(architecture), _leading_to_output(architecture)
        return all(
            source in forward and node in backward
            for (source, node), choice in zip(EDGES, architecture[CELL], strict=True)
            if choice != NONE
        )

    def canonical(self, architecture: Architecture) -> str:
        """See `SearchSpace.canonical`: sums are flattened through skips and zeros removed (4,930 classes)."""
        return _functional(architecture, self.operations[CELL])

    def published_class(self, architecture: Architecture) -> str:
        """A text equal for what the benchmark's own rule takes for one (6,466 classes; Dong and Yang, 2020).

        It misses some equalities: sums are not flattened, and zeros are left among their addends.
        """
        return _published(architecture, self.operations[CELL])


def _incoming(architecture: Architecture, node: int) -> list[tuple[int, int]]:
    """Pairs (source, operation index) of the edges into a node."""
    return [(source, choice) for (source, end), choice in zip(EDGES, architecture[CELL], strict=True) if end == node]


def _reached_from_input(architecture: Architecture) -> set[int]:
    reached = {0}
    for node in (1, 2, 3):
        if any(source in reached and choice != NONE for source, choice in _incoming(architecture, node)):
            reached.add(node)
    return reached


def _leading_to_output(architecture: Architecture) -> set[int]:
    leading = {3}
    for node in (3, 2, 1):
        if node in leading:
            leading |= {source for source, choice in _incoming(architecture, node) if choice != NONE}
    return leading


def _published(architecture: Architecture, names: Sequence[str]) -> str:
    nodes = ["0"]
    for node in (1, 2, 3):
        addends = []
        for source, choice in _incoming(architecture, node):
            if choice == SKIP:
                addends.append(nodes[source])
            elif choice == NONE or nodes[source] == "#":
                addends.append("#")
            else:
                addends.append(f"({nodes[source]})@{names[choice]}")
        nodes.append("+".join(sorted(addends)))
    return nodes[-1]


def _functional(architecture: Architecture, names: Sequence[str]) -> str:
    nodes: list[tuple[str, ...]] = [("0",)]  # a node is a multiset of addends; the empty one is zero
    for node in (1, 2, 3):
        addends: list[str] = []
        for source, choice in _incoming(architecture, node):
            if choice == SKIP:
                addends += nodes[source]
            elif choice != NONE and nodes[source]:
                addends.append(f"({'+'.join(nodes[source])})@{names[choice]}")
        nodes.append(tuple(sorted(addends)))
    return "+".join(nodes[-1])


@functools.cache
def benchmark_order() -> tuple[Architecture, ...]:
    """All architectures in the order of the published table: its index is the position in a seeded shuffle."""
    ordered = list(NASBench201().enumerate())
    random.Random(88).shuffle(ordered)
    return tuple(ordered)
