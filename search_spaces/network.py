"""A network: a stem, a trunk of cells and fixed layers, and a head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.cell import Cell, Wiring


class Network(nn.Module):
    """A classifier built from cells; the supernet and the stand-alone networks are the same class.

    Args:
        wirings: for each cell type its wiring.
        stem: from the image to the first feature map.
        trunk: cells and fixed layers, in order.
        head: from the last feature map to the logits.
    """

    def __init__(self, wirings: Mapping[str, Wiring], stem: nn.Module, trunk: Iterable[nn.Module], head: nn.Module):
        super().__init__()
        self.wirings = nn.ModuleDict(dict(wirings))
        self.stem = stem
        self.trunk = nn.ModuleList(trunk)
        self.head = head

    def forward(self, x: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits ``(batch, classes)`` of images ``(batch, channels, h, w)``.

        ``weights`` are the mixing weights ``(edges, operations)`` per cell type; without them each operation counts
        once, which is what a stand-alone network does.
        """
        mixture = {cell: cast(Wiring, self.wirings[cell]).split(table) for cell, table in (weights or {}).items()}
        x = self.stem(x)
        for layer in self.trunk:
            x = layer(x, mixture.get(layer.cell_type)) if isinstance(layer, Cell) else layer(x)
        return self.head(x)

    @torch.no_grad()
    def inherit(self, parent: Network) -> None:
        """Overwrite this network's weights and batch-norm statistics with those of a network that contains it."""
        for mine, theirs in zip(self.trunk, parent.trunk, strict=True):
            if isinstance(mine, Cell) and isinstance(theirs, Cell):
                mine.inherit(theirs)
            else:
                mine.load_state_dict(theirs.state_dict())
        self.stem.load_state_dict(parent.stem.state_dict())
        self.head.load_state_dict(parent.head.state_dict())


def parameters(network: nn.Module) -> int:
    """The number of learnable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def multiply_adds(network: nn.Module, image: tuple[int, int, int]) -> int:
    """Multiply-adds of convolutions and linear layers for one image ``(channels, height, width)``.

    Pooling, batch norm and additions are not counted. The network is run once in evaluation mode on its own device.
    """
    device = next(network.parameters()).device
    training = network.training
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            network.eval()(torch.zeros(1, *image, device=device))
    finally:
        network.train(training)
    return counter.get_total_flops() // 2
