"""A supernet as a network like any other: with its mixing weights fixed, for scores of operations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from search_spaces.architecture import Allowed
from search_spaces.network import Network


class Mixed(nn.Module):
    """A network with mixing weights.

    Args:
        network: usually a supernet.
        weights: ``(edges, operations)`` for each cell type.
    """

    def __init__(self, network: Network, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.weights = dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.network(x, {cell: table.to(x) for cell, table in self.weights.items()})


def uniform(allowed: Allowed) -> dict[str, Tensor]:
    """Mixing weights that give all allowed operations of an edge the same share; none where nothing is allowed."""
    return {cell: table.float() / table.sum(dim=1, keepdim=True).clamp_min(1) for cell, table in allowed.items()}
