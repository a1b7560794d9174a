"""The space of DARTS: two cell types of four nodes, eight operations, two inputs kept for each node.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", 2019, arXiv:1806.09055, section 3.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import Self

from search_spaces.architecture import DROPPED, Allowed, Architecture
from search_spaces.auxiliary import AuxiliaryHead
from search_spaces.cell import Cell
from search_spaces.layers import GlobalPool
from search_spaces.network import Network
from search_spaces.operations import Builder, FactorizedReduce, Form, Operation, ReLUConvBN
from search_spaces.published import EXAMPLE, from_genotype
from search_spaces.rows import Row
from search_spaces.space import SearchSpace
from search_spaces.wiring import Wiring

NORMAL, REDUCE = "normal", "reduce"
CELLS = (NORMAL, REDUCE)
NODES = range(2, 6)  # nodes 0 and 1 are the outputs of the two cells before
EDGES = tuple((source, node) for node in NODES for source in range(node))
KEPT = 2  # inputs of each node in an architecture
OPERATIONS = (
    "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip


class Preprocess(nn.Module):
    """Brings an input of a cell to the cell's channels, and to the size of its other input."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, C_in, h, w)`` to ``(batch, C, h', w')``."""
        return self.operation(x.relu()).flatten(1, 2)


class DARTS(SearchSpace):
    """The space and its network: a stem, ``layers`` cells of which two reduce the image, a head.

    Args:
        channels: of the first cells' nodes; 16 in the search, 36 to train a found architecture on CIFAR, 48 on
            ImageNet.
        layers: cells; 8, 20 and 14. Those at a third and at two thirds halve the image and double the channels.
        stem: ``cifar``, or ``imagenet``, which divides the image's sides by eight before the first cell.
        none: whether the supernet mixes in ``none``; DrNAS leaves it out. No architecture ever has it.
        threshold: an edge whose best weight is not above this is not kept (FairDARTS: 0.85), but for the best of a
            node; nodes may then keep a single input.
        max_skips: the normal cell keeps at most so many skip connections (P-DARTS: 2); None for any number.
        auxiliary: train found architectures with a second head after two thirds of the cells.
        in_channels: channels of the images.
        num_classes: classes.
        extra_operations: further candidates of both cell types by name.
    """

    name = "darts"
    least_depth = MappingProxyType({"layers": 3})

    def __init__(
        self,
        channels: int = 16,
        layers: int = 8,
        stem: Literal["cifar", "imagenet"] = "cifar",
        none: bool = True,
        threshold: float = 0.0,
        max_skips: int | None = None,
        auxiliary: bool = False,
        in_channels: int = 3,
        num_classes: int = 10,
        extra_operations: Mapping[str, Builder] | None = None,
    ) -> None:
        for key, value, least in (("channels", channels, 1), ("layers", layers, 3), ("in_channels", in_channels, 1)):
            if value < least:
                raise ValueError(f"{key} is {value}: it must be at least {least}")
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}: a classifier needs at least 2")
        if stem not in ("cifar", "imagenet"):
            raise ValueError(f"stem is {stem!r}: it must be 'cifar' or 'imagenet'")
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold is {threshold}: it must be at least 0 and less than 1")
        if max_skips is not None and max_skips < 0:
            raise ValueError(f"max_skips is {max_skips}: it must not be negative")
        self.channels = channels
        self.layers = layers
        self.stem: Literal["cifar", "imagenet"] = stem
        self.none = none
        self.threshold = threshold
        self.max_skips = max_skips
        self.auxiliary = auxiliary
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.extra_operations = dict(extra_operations or {})
        self.edges = dict.fromkeys(CELLS, EDGES)
        self.operations: dict[str, tuple[str, ...]] = dict.fromkeys(
            CELLS, (*OPERATIONS[0 if none else 1 :], *self.extra_operations)
        )
        self.inputs = dict.fromkeys(CELLS, dict.fromkeys(NODES, KEPT))
        self.fewer_inputs = threshold > 0
        self.unchosen = frozenset({"none"})
        self.allowed = {
            cell: torch.ones(len(EDGES), len(names), dtype=torch.bool) for cell, names in self.operations.items()
        }

    def build(self, allowed: Allowed, *, searching: bool, partial_channels: int = 1) -> Network:
        """See `SearchSpace.build`. In the searching form a batch norm follows each pooling."""
        form = Form(affine=not searching, pool_norm=searching, extra=self.extra_operations)
        wirings = {
            cell: Wiring(
                EDGES, self.operations[cell], allowed[cell],
                inputs=2, output="concat", strides={0: 2, 1: 2} if cell == REDUCE else None,
            )
            for cell in CELLS
        }  # fmt: skip
        width = self.channels
        trunk: list[nn.Module] = []
        if self.stem == "cifar":
            before = here = 3 * width
            stem = nn.Sequential(nn.Conv2d(self.in_channels, here, 3, padding=1, bias=False), nn.BatchNorm2d(here))
        else:
            before = here = width
            half = width // 2
            stem = nn.Sequential(
                nn.Conv2d(self.in_channels, half, 3, 2, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(),
                nn.Conv2d(half, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width),
            )  # fmt: skip
            trunk.append(nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)))
        auxiliary = None
        reduced = self.stem == "imagenet"  # whether the layer before halved the image
        for layer in range(self.layers):
            cell = REDUCE if layer in (self.layers // 3, 2 * self.layers // 3) else NORMAL
            width *= 2 if cell == REDUCE else 1
            preprocess = (
                FactorizedReduce(1, before, width, form.affine)
                if reduced
                else ReLUConvBN(1, before, width, 1, 1, form.affine),
                ReLUConvBN(1, here, width, 1, 1, form.affine),
            )
            inputs = [Preprocess(operation) for operation in preprocess]
            trunk.append(Cell(cell, wirings[cell], width, form, inputs, partial_channels))
            before, here, reduced = here, len(NODES) * width, cell == REDUCE
            if layer == 2 * self.layers // 3 and self.auxiliary and not searching:
                auxiliary = (len(trunk) - 1, AuxiliaryHead(here, self.num_classes, imagenet=self.stem == "imagenet"))
        head = nn.Sequential(GlobalPool(), nn.Flatten(), nn.Linear(here, self.num_classes))
        return Network(wirings, stem, trunk, head, auxiliary)

    def discretize(self, weights: Mapping[str, Tensor]) -> Architecture:
        """For each node the two edges with the strongest operation, and that operation; ``none`` does not count.

        Of the rule's published variants `threshold` and `max_skips` are applied where the space has them.
        """
        rows = {}
        for cell in CELLS:
            limited = cell == NORMAL and self.max_skips is not None and "skip_connect" in self.operations[cell]
            most = self.max_skips if limited else None
            rows[cell] = self._decode(cell, self.masked(cell, weights), most)
        return Architecture.of(rows)

    def contains(self, architecture: Architecture) -> bool:
        """See `SearchSpace.contains`; also whether the normal cell has no more than `max_skips` skips."""
        names = self.operations[NORMAL]
        skips = sum(choice != DROPPED and names[choice] == "skip_connect" for choice in architecture[NORMAL])
        return super().contains(architecture) and (self.max_skips is None or skips <= self.max_skips)

    def _decode(self, cell: str, table: Tensor, most: int | None) -> Row:
        """One cell's row. The weakest skips give way until at most so many are left or nothing can replace them."""
        threshold, last_resort = self.threshold or -torch.inf, torch.finfo(table.dtype).min
        row = self.rows(cell).strongest(table, threshold)
        if most is None:
            return row
        skip = self.operations[cell].index("skip_connect")
        while row.count(skip) > most:
            skips = [edge for edge, choice in enumerate(row) if choice == skip and table[edge, skip] > last_resort]
            if not skips:
                break
            table[min(skips, key=lambda edge: float(table[edge, skip])), skip] = last_resort
            row = self.rows(cell).strongest(table, threshold)
        return row

    def parse(self, text: str) -> Architecture:
        """Reads what `format` writes, and the ``Genotype(normal=[('op', source), ...], ...)`` of published code."""
        return super().parse(from_genotype(text) if text.strip().startswith("Genotype(") else text)

    def _example(self) -> str:
        return EXAMPLE

    def thin(self, channels: int) -> Self:
        """See `SearchSpace.thin`. The imagenet stem, and the first cell behind it, divide their channels by two."""
        return super().thin(max(2, channels) if self.stem == "imagenet" else channels)

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether each cell's output depends on its input; only ``noise`` (RobustDARTS S4) can prevent it."""
        return all(self._depends(cell, architecture[cell]) for cell in CELLS)

    def _depends(self, cell: str, row: tuple[int, ...]) -> bool:
        reached = {0, 1}
        for (source, node), choice in zip(EDGES, row, strict=True):
            if choice != DROPPED and self.operations[cell][choice] != "noise" and source in reached:
                reached.add(node)
        return len(reached) > 2

    def canonical(self, architecture: Architecture) -> str:
        """The function up to the order of the nodes, with sums flattened through skips that are identities."""
        texts = []
        for cell in CELLS:
            nodes: list[tuple[str, ...]] = [("0",), ("1",), *[()] * len(NODES)]
            for (source, node), choice in zip(EDGES, architecture[cell], strict=True):
                if choice == DROPPED:
                    continue
                name = self.operations[cell][choice]
                strided = cell == REDUCE and source < 2
                if name == "skip_connect" and not strided:
                    addends = nodes[source]
                else:  # noise does not depend on where it starts from
                    addends = (name if name == "noise" else f"({'+'.join(nodes[source])})@{name}",)
                nodes[node] = tuple(sorted((*nodes[node], *addends)))
            texts.append("|".join(sorted("+".join(node) for node in nodes[2:])))
        return ";".join(texts)
