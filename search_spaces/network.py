"""A network: a stem, a trunk of cells and fixed layers, and a head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast, get_args

import torch
from torch import Generator, Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.cell import Cell
from search_spaces.recomputation import recomputed
from search_spaces.wiring import Wiring

Recomputed = Literal["cell", "operation"]
"""What is computed anew for the gradients."""


class Network(nn.Module):
    """A classifier built from cells; the supernet and the stand-alone networks are the same class.

    A cell with two inputs gets the outputs of the two layers before it; the first cell gets the stem's output twice.

    Args:
        wirings: for each cell type its wiring.
        stem: from the image to the first feature map.
        trunk: cells and fixed layers, in order.
        head: from the last feature map to the logits.
        auxiliary: a second head and the index of the layer in the trunk that feeds it; it works in training only.
    """

    def __init__(
        self,
        wirings: Mapping[str, Wiring],
        stem: nn.Module,
        trunk: Iterable[nn.Module],
        head: nn.Module,
        auxiliary: tuple[int, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.wirings = nn.ModuleDict(dict(wirings))
        self.stem = stem
        self.trunk = nn.ModuleList(trunk)
        self.head = head
        self.auxiliary_at = -1 if auxiliary is None else auxiliary[0]
        self.auxiliary = None if auxiliary is None else auxiliary[1]
        self._by_cell = False
        self._widths: dict[str, set[int]] = {}  # of each cell type's operations
        for cell in self.cells:
            self._widths.setdefault(cell.cell_type, set()).update(cell.widths)

    @property
    def cells(self) -> list[Cell]:
        """The cells of the trunk."""
        return [layer for layer in self.trunk if isinstance(layer, Cell)]

    def forward(
        self,
        x: Tensor,
        weights: Mapping[str, Tensor] | None = None,
        edges: Mapping[str, Tensor] | None = None,
        only: Mapping[str, Sequence[int]] | None = None,
    ) -> Tensor:
        """Logits ``(batch, classes)`` of images ``(batch, channels, h, w)``.

        Args:
            x: the images.
            weights: the mixing weights ``(edges, operations)`` per cell type; without them each operation counts once,
                which is what a stand-alone network does.
            edges: per cell type a factor for each edge as a whole ``(edges,)``.
            only: per cell type the index of the only operation to run on each edge.

        Raises ValueError for ``edges`` or ``only`` without weights, KeyError for a cell type that has none.
        """
        return self.both(x, weights, edges, only)[0]

    def both(
        self,
        x: Tensor,
        weights: Mapping[str, Tensor] | None = None,
        edges: Mapping[str, Tensor] | None = None,
        only: Mapping[str, Sequence[int]] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The logits, and in training those of the auxiliary head, if there is one; see `forward`."""
        if not weights and (edges or only):
            raise ValueError("`edges` and `only` need the mixing weights that they go with")
        mixture = {
            cell: cast(Wiring, self.wirings[cell]).split(
                table, edges[cell] if edges else None, only[cell] if only else None, self._widths[cell]
            )
            for cell, table in (weights or {}).items()
        }
        before = x = self.stem(x)
        extra = None
        for index, layer in enumerate(self.trunk):
            if isinstance(layer, Cell):
                inputs = (x,) if layer.inputs == 1 else (before, x)
                chosen = mixture[layer.cell_type] if weights else None
                y = recomputed(layer, inputs, chosen, draws=layer.draws) if self._by_cell else layer(inputs, chosen)
                before, x = x, y
            else:
                before, x = x, layer(x)
            if index == self.auxiliary_at and self.training and self.auxiliary is not None:
                extra = self.auxiliary(x)
        return self.head(x), extra

    def recompute(self, what: Recomputed | None) -> None:
        """Compute the inside of each ``cell`` or ``operation`` anew for the gradients, which takes less memory."""
        if what not in (None, *get_args(Recomputed)):
            raise ValueError(f"recompute is {what!r}: it must be one of {', '.join(get_args(Recomputed))}, or null")
        self._by_cell = what == "cell"
        for cell in self.cells:
            cell.recompute = what == "operation"

    def drop_path(self, probability: float) -> None:
        """Set the probability with which an operation's output is left out for an image while training."""
        for cell in self.cells:
            cell.drop_path = probability

    def adopt(
        self,
        parent: Network,
        tensors: Mapping[str, Tensor],
        maps: Mapping[str, Mapping[str, Tensor]] | None = None,
        rescale: bool = False,
    ) -> dict[str, Tensor]:
        """This network's tensors, by name, from those of one that contains it.

        ``tensors`` may be the parent's state or anything of the same names and shapes, such as the momentum of an
        optimizer. ``maps`` (from `widening`) say which channels repeat which where this network is wider.
        """
        taken = {name: tensor for name, tensor in tensors.items() if not name.startswith(("trunk.", "wirings."))}
        for index, (mine, theirs) in enumerate(zip(self.trunk, parent.trunk, strict=True)):
            prefix = f"trunk.{index}."
            own = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            if isinstance(mine, Cell) and isinstance(theirs, Cell):
                own = mine.adopt(theirs, own, (maps or {}).get(prefix, {}), rescale)
            taken |= {prefix + name: tensor for name, tensor in own.items()}
        return taken

    @torch.no_grad()
    def inherit(self, parent: Network) -> None:
        """Overwrite this network's weights and batch-norm statistics with those of a network that contains it.

        A batch norm whose scale the parent does not have keeps its own.
        """
        self.load(self.adopt(parent, parent.state_dict()))

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors of these names, and leave those this network does not have."""
        state = self.state_dict()
        for name, tensor in tensors.items():
            if name in state:
                state[name].copy_(tensor)


def widening(network: Network, parent: Network, generator: Generator) -> dict[str, dict[str, Tensor]]:
    """For each operation of a wider network a random map from its channels to those of its parent, for `Network.adopt`.

    The parent's channels stay in place, each further one repeats one of them at random (DrNAS, Chen et al., 2021,
    arXiv:2006.10355, section 3.3).
    """
    maps: dict[str, dict[str, Tensor]] = {}
    for index, (mine, theirs) in enumerate(zip(network.trunk, parent.trunk, strict=True)):
        if isinstance(mine, Cell) and isinstance(theirs, Cell):
            maps[f"trunk.{index}."] = {}
            for group in mine.groups:
                old = theirs.channels[group.source] // theirs.partial
                new = mine.channels[group.source] // mine.partial
                repeats = torch.randint(old, (new - old,), generator=generator)
                maps[f"trunk.{index}."][group.key] = torch.cat([torch.arange(old), repeats])
    return maps


def parameters(network: nn.Module) -> int:
    """The number of learnable parameters, an auxiliary head left out."""
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary."))


@torch.no_grad()
def multiply_adds(network: nn.Module, image: tuple[int, int, int]) -> int:
    """Multiply-adds of convolutions and linear layers for one image ``(channels, height, width)``.

    Pooling, batch norm and additions are not counted. The network is run once in evaluation mode on its own device.
    """
    like = next(network.parameters())
    training = network.training
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            network.eval()(like.new_zeros(1, *image))
    finally:
        network.train(training)
    return counter.get_total_flops() // 2
