"""NAS-Bench-Macro: eight layers one after another, three blocks to choose from for each: 6,561 architectures.

Su et al., "Prioritized Architecture Sampling with Monte-Carlo Tree Search", 2021, arXiv:2103.11922, section 4 and its
code. The network is one cell whose nodes are the feature maps.
"""

from __future__ import annotations

import torch
from torch import nn

from search_spaces.architecture import Allowed, Architecture
from search_spaces.cell import Cell
from search_spaces.errors import ArchitectureError
from search_spaces.layers import GlobalPool
from search_spaces.network import Network
from search_spaces.operations import Form
from search_spaces.space import SearchSpace
from search_spaces.wiring import Wiring

CELL = "layers"
STAGES = (2, 3, 3)  # layers; the first of each halves the image and doubles the channels
EDGES = tuple((layer, layer + 1) for layer in range(sum(STAGES)))
FIRST = tuple(sum(STAGES[:stage]) for stage in range(len(STAGES)))
OPERATIONS = ("identity", "mb_k3_e3", "mb_k5_e6")
FEATURES = 1280
EXAMPLE = "22212220"


class NASBenchMacro(SearchSpace):
    """The space and its network: a stem, eight layers in three stages, a head.

    In the first layer of a stage ``identity`` is a point-wise convolution of stride 2 and a batch norm.

    Args:
        channels: of the stem (32 in the benchmark).
        in_channels: channels of the images.
        num_classes: classes.
    """

    name = "nasbench_macro"

    def __init__(self, channels: int = 32, in_channels: int = 3, num_classes: int = 10) -> None:
        for key, value in (("channels", channels), ("in_channels", in_channels)):
            if value < 1:
                raise ValueError(f"{key} is {value}: it must be at least 1")
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}: a classifier needs at least 2")
        self.channels = channels
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.edges = {CELL: EDGES}
        self.operations = {CELL: OPERATIONS}
        self.allowed = {CELL: torch.ones(len(EDGES), len(OPERATIONS), dtype=torch.bool)}

    def build(self, allowed: Allowed, *, searching: bool, partial_channels: int = 1) -> Network:
        """See `SearchSpace.build`. Blocks change the number of channels, so that ``partial_channels`` must be 1."""
        wiring = Wiring(EDGES, OPERATIONS, allowed[CELL], strides=dict.fromkeys(FIRST, 2))
        widths = [self.channels * 2 ** sum(node > first for first in FIRST) for node in range(len(EDGES) + 1)]
        cell = Cell(CELL, wiring, widths, Form(affine=not searching), partial=partial_channels)
        stem = nn.Sequential(
            nn.Conv2d(self.in_channels, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        head = nn.Sequential(
            nn.Conv2d(widths[-1], FEATURES, 1, bias=False), nn.BatchNorm2d(FEATURES), nn.ReLU(),
            GlobalPool(), nn.Flatten(), nn.Linear(FEATURES, self.num_classes),
        )  # fmt: skip
        return Network({CELL: wiring}, stem, [cell], head)

    def format(self, architecture: Architecture) -> str:
        """A digit for each layer, the index of its block: ``22212220``."""
        self.check(architecture)
        return "".join(str(choice) for choice in architecture[CELL])

    def parse(self, text: str) -> Architecture:
        """See `format`. Raises `ArchitectureError` that names the layer where the text breaks."""
        digits = text.strip()
        if len(digits) != len(EDGES):
            raise ArchitectureError(f"{text!r} has {len(digits)} layers, not {len(EDGES)}, as in {EXAMPLE!r}")
        names = ", ".join(f"{index} for {name}" for index, name in enumerate(OPERATIONS))
        for layer, digit in enumerate(digits, start=1):
            if digit not in ("0", "1", "2"):
                raise ArchitectureError(f"layer {layer} of {text!r}: {digit!r} is not {names}")
        return Architecture.of({CELL: [int(digit) for digit in digits]})

    def is_valid(self, architecture: Architecture) -> bool:
        """True: every block leads on."""
        return True

    def canonical(self, architecture: Architecture) -> str:
        """The text with the identities inside each stage, which do nothing, moved to its end."""
        text = self.format(architecture)
        stages = [text[first : first + layers] for first, layers in zip(FIRST, STAGES, strict=True)]
        return "".join(stage[0] + stage[1:].replace("0", "").ljust(len(stage) - 1, "0") for stage in stages)
