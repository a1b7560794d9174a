"""NAS-Bench-1Shot1: three parts of NAS-Bench-101 in which one supernet holds every architecture.

Zela, Siems and Hutter, "NAS-Bench-1Shot1: Benchmarking and Dissecting One-shot Neural Architecture Search", 2020,
arXiv:2001.10422, section 3 and its code.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import nn

from search_spaces.architecture import DROPPED, Allowed, Architecture
from search_spaces.cell import Cell
from search_spaces.errors import ArchitectureError
from search_spaces.layers import GlobalPool
from search_spaces.network import Network
from search_spaces.operations import Form
from search_spaces.space import SearchSpace
from search_spaces.wiring import Wiring

CELL = "cell"
BLOCK = ("maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
OPERATIONS = (*BLOCK, "skip_connect")
PROJECTION, CONNECTION = OPERATIONS.index("conv1x1-bn-relu"), OPERATIONS.index("skip_connect")
PARENTS = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}  # of each choice block and of the output


class NASBench1Shot1(SearchSpace):
    """One of the three spaces and its network: a stem, three stacks of cells with pooling between them, a head.

    A cell has the vertices 0 (its input), 1 to 4 (5 in the third space) and the output; each but the first keeps the
    published number of parents among all vertices before it. Here a choice block is two nodes. The edges into the first
    carry no choice: a connection or, from the cell's input, a projection (``conv1x1-bn-relu``, its own for each block);
    they are weighed as wholes (`edge_weights`). The edge to the second carries the choice of operation.

    As published: blocks, projections, parents, weights of the edges, stem, doubling of the channels. Ours: the output
    adds what enters it, where the published cell puts it side by side and has a projection more at the end of the
    network; so it keeps its size when edges are dropped. The pooling between stacks does not pad its input. Batch norms
    have torch's momentum, and in the supernet no scale. Both inputs of a block that keeps all it has are weighed too.

    Sizes: 14,580, 29,160 and 1,312,200 choices of parents and operations. The paper counts 6,240, 29,160 and 363,648
    (in the first and third space a block that no other vertex reads has no operation to choose), of which its code
    generates 2,487, 3,609 and 24,066 without loose ends.

    Args:
        variant: 1, 2 or 3.
        channels: of the first stack (16 in the supernet, 128 in NAS-Bench-101).
        layers: cells (9); at a third and at two thirds the image is halved and the channels are doubled.
        in_channels: channels of the images.
        num_classes: classes.
    """

    edge_weights = True
    least_depth = MappingProxyType({"layers": 3})

    def __init__(
        self,
        variant: Literal[1, 2, 3],
        channels: int = 16,
        layers: int = 9,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        if variant not in PARENTS:
            raise ValueError(f"variant is {variant!r}: it must be 1, 2 or 3")
        for key, value, least in (("channels", channels, 1), ("layers", layers, 3), ("in_channels", in_channels, 1)):
            if value < least:
                raise ValueError(f"{key} is {value}: it must be at least {least}")
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}: a classifier needs at least 2")
        self.name = f"nasbench1shot1_{variant}"
        self.variant = variant
        self.channels = channels
        self.layers = layers
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.parents = PARENTS[variant]
        edges = []
        for vertex in range(1, len(self.parents) + 1):  # vertex v is entered at node 2v - 1 and left at node 2v
            edges += [(2 * parent, 2 * vertex - 1) for parent in range(vertex)] + [(2 * vertex - 1, 2 * vertex)]
        self.edges = {CELL: tuple(edges[:-1])}
        self.operations = {CELL: OPERATIONS}
        self.inputs = {CELL: {2 * vertex - 1: count for vertex, count in enumerate(self.parents, start=1)}}
        allowed = torch.zeros(len(self.edges[CELL]), len(OPERATIONS), dtype=torch.bool)
        for edge, (source, _) in enumerate(self.edges[CELL]):
            allowed[edge, : len(BLOCK)] = source % 2 == 1
            allowed[edge, CONNECTION] = source % 2 == 0 and source > 0
            allowed[edge, PROJECTION] |= source == 0
        self.allowed = {CELL: allowed}

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments."""
        return {
            "variant": self.variant,
            "channels": self.channels,
            "layers": self.layers,
            "in_channels": self.in_channels,
            "num_classes": self.num_classes,
        }

    def build(self, allowed: Allowed, *, searching: bool, partial_channels: int = 1) -> Network:
        """See `SearchSpace.build`. Projections change the number of channels: ``partial_channels`` must be 1."""
        wiring = Wiring(self.edges[CELL], OPERATIONS, allowed[CELL])
        form = Form(affine=not searching)
        before = width = self.channels
        stem = nn.Sequential(
            nn.Conv2d(self.in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        trunk: list[nn.Module] = []
        for layer in range(self.layers):
            if layer in (self.layers // 3, 2 * self.layers // 3):
                trunk.append(nn.MaxPool2d(2, 2, ceil_mode=True))
                width *= 2
            trunk.append(Cell(CELL, wiring, [before] + [width] * (wiring.nodes - 1), form, partial=partial_channels))
            before = width
        head = nn.Sequential(GlobalPool(), nn.Flatten(), nn.Linear(width, self.num_classes))
        return Network({CELL: wiring}, stem, trunk, head)

    def vertices(self, architecture: Architecture) -> list[tuple[str, list[int]]]:
        """The operation, or ``output``, and the parents of each vertex but the first."""
        found: list[tuple[str, list[int]]] = [("output", []) for _ in self.parents]
        for (source, node), choice in zip(self.edges[CELL], architecture[CELL], strict=True):
            if choice != DROPPED and source % 2:
                found[node // 2 - 1] = (OPERATIONS[choice], found[node // 2 - 1][1])
            elif choice != DROPPED:
                found[node // 2][1].append(source // 2)
        return found

    def format(self, architecture: Architecture) -> str:
        """``|op~parent|op~parent~parent|...|output~parent~parent|``, one group for each vertex but the first."""
        self.check(architecture)
        groups = ("~".join([name, *map(str, parents)]) for name, parents in self.vertices(architecture))
        return f"|{'|'.join(groups)}|"

    def parse(self, text: str) -> Architecture:
        """See `format`. Raises `ArchitectureError` that names the vertex where the text breaks."""
        groups = [group.split("~") for group in text.strip().strip("|").split("|")]
        if len(groups) != len(self.parents):
            raise ArchitectureError(f"{text!r} has {len(groups)} vertices divided by '|', not {len(self.parents)}")
        row = [DROPPED] * len(self.edges[CELL])
        for vertex, ((name, *parents), count) in enumerate(zip(groups, self.parents, strict=True), start=1):
            where = f"vertex {vertex}, {'~'.join([name, *parents])!r}"
            known = BLOCK if vertex < len(self.parents) else ("output",)
            if name not in known:
                raise ArchitectureError(f"{where}: it begins with {' or '.join(known)}")
            before = {str(parent) for parent in range(vertex)}
            if not len(parents) == len(set(parents)) == count or not set(parents) <= before:
                raise ArchitectureError(f"{where}: it has {count} different parents among 0 to {vertex - 1}")
            for parent in map(int, parents):
                edge = self.edges[CELL].index((2 * parent, 2 * vertex - 1))
                row[edge] = CONNECTION if parent else PROJECTION
            if name in BLOCK:
                row[self.edges[CELL].index((2 * vertex - 1, 2 * vertex))] = BLOCK.index(name)
        return Architecture.of({CELL: row})

    def is_valid(self, architecture: Architecture) -> bool:
        """True: every vertex has a parent before it."""
        return True

    def canonical(self, architecture: Architecture) -> str:
        """The function, up to the order of the vertices and without those that lead nowhere."""
        texts = ["0"]
        for name, parents in self.vertices(architecture):
            texts.append(f"({'+'.join(sorted(texts[parent] for parent in parents))})@{name}")
        return texts[-1]
