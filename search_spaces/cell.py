"""A cell: a directed acyclic graph whose edges carry (mixtures of) operations and whose nodes sum their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.candidates import build
from search_spaces.layers import weighted_sums
from search_spaces.operations import Form, Operation, Taken, repeated
from search_spaces.recomputation import recomputed
from search_spaces.wiring import Mixture, Piece, Wiring


class Cell(nn.Module):
    """One cell: its first nodes are its inputs, every other node is the sum of its incoming edges.

    With partial channels (PC-DARTS, Xu et al., 2020, arXiv:1907.05737) the operations see the first ``1 / partial`` of
    the channels; the others bypass them, pooled where the edge has a stride, and a shuffle mixes both. Sum and shuffle
    are linear, so the shuffle is done once a node and not on every edge.

    Args:
        cell_type: its name in the space.
        wiring: what runs where.
        channels: of every node, or of each.
        form: how the operations are built.
        preprocess: a layer for each input.
        partial: the operations see one of so many parts of the channels.

    Attributes:
        widths: the channels that the operations of each group give.
        drop_path: the probability that an operation's output is left out for an image while training; the others are
            scaled up (Larsson et al., 2017, arXiv:1605.07648).
        recompute: what operations compute within is computed anew for the gradients; see `recomputed`.
    """

    drop_path: float = 0.0
    recompute: bool = False

    def __init__(
        self,
        cell_type: str,
        wiring: Wiring,
        channels: int | Sequence[int],
        form: Form,
        preprocess: Sequence[nn.Module] | None = None,
        partial: int = 1,
    ) -> None:
        super().__init__()
        self.cell_type = cell_type
        self.inputs = wiring.inputs
        self.output = wiring.output
        self.groups = wiring.groups
        self.leaving = wiring.leaving
        self.strides = wiring.strides
        self.scales = wiring.scales
        self.partial = partial
        self.channels = [channels] * wiring.nodes if isinstance(channels, int) else list(channels)
        if any(width % partial for width in self.channels):
            raise ValueError(
                f"partial_channels={partial} does not divide the {self.channels[0]} channels of a cell; use a number "
                "that does, or 1 for all channels"
            )
        if partial > 1 and len(set(self.channels)) > 1:
            raise ValueError(
                f"partial_channels={partial}: channels cannot bypass operations that change their number; use 1"
            )
        self.widths = [self.channels[group.destinations[0]] // partial for group in wiring.groups]
        self.preprocess = nn.ModuleList(preprocess or ())
        self.operations = nn.ModuleDict(
            {
                group.key: build(
                    group.operation,
                    len(group.edges),
                    self.channels[group.source] // partial,
                    width,
                    self.strides[group.source],
                    form,
                )
                for group, width in zip(wiring.groups, self.widths, strict=True)
            }
        )

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers now."""
        operations = (cast(Operation, operation) for operation in self.operations.values())
        return bool(self.drop_path) or any(operation.draws for operation in operations)

    def forward(self, inputs: Sequence[Tensor], mixture: Mixture | None = None) -> Tensor:
        """The output ``(batch, channels, h, w)``; without a mixture (from `Wiring.split`) each edge counts once."""
        if self.preprocess:
            inputs = [layer(x) for layer, x in zip(self.preprocess, inputs, strict=True)]
        nodes: list[Tensor | None] = [*inputs, *[None] * (len(self.channels) - self.inputs)]
        past: list[Tensor | None] = [None] * len(nodes)  # the sums of the channels that bypass the operations
        values: list[Tensor] = []
        for node in range(len(nodes)):
            values.append(self._join(nodes[node], past[node], node, inputs[0]))
            nodes[node] = past[node] = None
            if node < len(self.leaving) and self.leaving[node]:
                self._leave(values[node], node, mixture, nodes, past)
        return values[-1] if self.output == "last" else torch.cat(values[self.inputs :], dim=1)

    def _leave(
        self,
        value: Tensor,
        source: int,
        mixture: Mixture | None,
        nodes: list[Tensor | None],
        past: list[Tensor | None],
    ) -> None:
        """Add what leaves a node to the nodes it leads to: its operations' outputs, and the channels past them."""
        if self.partial == 1:
            self._operate(value, source, mixture, nodes)
            return
        seen, rest = value.split(self._widths(source), dim=1)
        self._operate(seen, source, mixture, nodes)
        rest = F.max_pool2d(rest, 2, 2, ceil_mode=True) if self.strides[source] == 2 else rest
        destinations = self.leaving[source]
        if mixture is None or mixture.bypass is None:
            _add(past, destinations, rest.unsqueeze(1).expand(-1, len(destinations), -1, -1, -1))
        else:
            _add_weighted(past, destinations, [(mixture.bypass[source], rest)])

    def _operate(self, x: Tensor, source: int, mixture: Mixture | None, nodes: list[Tensor | None]) -> None:
        """Add what leaves a node to the nodes it leads to."""
        sums: dict[tuple[int, ...], Tensor] = {}  # edges that end in the same nodes are added before they are separated
        common: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}  # maps that they share, and their weights
        inputs: dict[tuple[bool, int], Tensor] = {(False, 1): x}  # past a ReLU or not; how often side by side
        for index, group in enumerate(self.groups):
            if group.source != source:
                continue
            operation = cast(Operation, self.operations[group.key])
            everything: list[Piece] = [(None, None, group.destinations)]
            pieces = (
                everything if mixture is None else mixture.pieces(index, group, operation.shared, self.widths[index])
            )
            for weights, rows, destinations in pieces:
                if weights is not None and (shared := operation.common(x)) is not None:
                    common.setdefault(destinations, []).append((weights, shared))
                    continue
                relu, count = operation.takes_relu, len(destinations) if operation.takes_copies else 1
                if (relu, 1) not in inputs:
                    inputs[relu, 1] = F.relu(x)
                if (relu, count) not in inputs:
                    inputs[relu, count] = repeated(inputs[relu, 1], count)
                if self.recompute:
                    y = recomputed(operation, inputs[relu, count], weights, rows, draws=operation.draws)
                else:
                    y = operation(inputs[relu, count], weights, rows)
                if self.drop_path and self.training and operation.droppable:
                    y = y * F.dropout(y.new_ones(*y.shape[:2], 1, 1, 1), self.drop_path)
                sums[destinations] = sums[destinations] + y if destinations in sums else y
        for destinations, y in sums.items():
            _add(nodes, destinations, y)
        for destinations, terms in common.items():
            _add_weighted(nodes, destinations, terms)

    def _join(self, seen: Tensor | None, past: Tensor | None, node: int, x: Tensor) -> Tensor:
        """The value of a node from its sums: zeros without any, shuffled where channels bypassed the operations."""
        if self.partial == 1 or node < self.inputs:
            return self._zeros(self.channels[node], node, x) if seen is None else seen
        mixed, rest = self._widths(node)
        parts = (
            self._zeros(mixed, node, x) if seen is None else seen,
            self._zeros(rest, node, x) if past is None else past,
        )
        return torch.cat(parts, dim=1).unflatten(1, (self.partial, -1)).transpose(1, 2).flatten(1, 2)

    def _widths(self, node: int) -> list[int]:
        seen = self.channels[node] // self.partial
        return [seen, self.channels[node] - seen]

    def _zeros(self, channels: int, node: int, x: Tensor) -> Tensor:
        height, width = (-(-size // self.scales[node]) for size in x.shape[2:])
        return x.new_zeros(len(x), channels, height, width)

    def adopt(
        self, parent: Cell, tensors: Mapping[str, Tensor], maps: Mapping[str, Tensor], rescale: bool
    ) -> dict[str, Tensor]:
        """This cell's tensors from those of one that contains it; see `Operation.adopt`."""
        theirs = {group.key: group for group in parent.groups}
        taken = {name: tensor for name, tensor in tensors.items() if name.startswith("preprocess.")}
        for group in self.groups:
            prefix = f"operations.{group.key}."
            source = theirs[group.key]
            found: Taken = cast(Operation, self.operations[group.key]).adopt(
                {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)},
                [*(source.edges.index(edge) for edge in group.edges), len(source.edges)],
                maps.get(group.key),
                rescale,
            )
            taken |= {prefix + name: tensor for name, tensor in found.items()}
        return taken


def _add(nodes: list[Tensor | None], destinations: Sequence[int], outputs: Tensor) -> None:
    """Add ``outputs (batch, copies, channels, h, w)`` to the nodes, one copy to each."""
    # Not unbind: its backward pass would stack the gradients channels first.
    for node, part in zip(destinations, outputs.flatten(1, 2).split(outputs.shape[2], dim=1), strict=True):
        total = nodes[node]
        nodes[node] = part if total is None else total + part


def _add_weighted(
    nodes: list[Tensor | None], destinations: Sequence[int], terms: Sequence[tuple[Tensor, Tensor]]
) -> None:
    """Add maps to each of these nodes, times its weight: ``terms`` are ``(weights (nodes,), map)``."""
    totals = weighted_sums([nodes[node] for node in destinations], *zip(*terms, strict=True))
    for node, total in zip(destinations, totals, strict=True):
        nodes[node] = total
