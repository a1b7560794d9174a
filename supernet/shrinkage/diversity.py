"""How different the architectures of a space are from each other."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.space import SearchSpace


def frequencies(space: SearchSpace) -> list[Tensor]:
    """For each cell type how often an edge has each operation, or is not kept ``(edges, operations + 1)``."""
    found = []
    for table in space.prior().values():
        dropped = (1 - table.double().sum(dim=1, keepdim=True)).clamp_min(0)
        found.append(torch.cat([table.double(), dropped], dim=1))
    return found


def mean_distance(space: SearchSpace) -> float:
    """The mean number of edges on which two different architectures of a space differ; 0 where there is only one.

    Two drawn with replacement differ on edge e with probability ``1 - sum_o f[e, o]^2``, and ``N / (N - 1)`` leaves out
    the pairs of an architecture with itself. So no pairs need be formed.
    """
    if space.size() == 1:
        return 0.0
    differ = sum(float((1 - table.square().sum(dim=1)).sum()) for table in frequencies(space))
    return differ / (1 - 1 / space.size())


def entropy(space: SearchSpace) -> float:
    """The entropy of an edge's operations in bits, the mean over all edges."""
    rows = [-(table * table.clamp_min(torch.finfo(table.dtype).tiny).log2()).sum(dim=1) for table in frequencies(space)]
    return float(torch.cat(rows).mean())


class Spread:
    """The mean distance between the architectures of a list that grows.

    Args:
        choices: the operation on each edge ``(architectures, edges)``, -1 on one that is not kept.
    """

    def __init__(self, choices: Tensor) -> None:
        self.size = len(choices)
        labels = torch.nn.functional.one_hot(choices + 1, int(choices.max()) + 2)
        self._counts = labels.sum(dim=0).double()

    def add(self, row: Tensor) -> None:
        """One more architecture ``(edges,)``."""
        missing = int(row.max()) + 2 - self._counts.shape[1]
        if missing > 0:
            self._counts = torch.nn.functional.pad(self._counts, (0, missing))
        self._counts[torch.arange(len(row)), row + 1] += 1
        self.size += 1

    @property
    def distance(self) -> float:
        """The mean number of edges on which two of them differ; 0 for fewer than two."""
        if self.size < 2:
            return 0.0
        same = (self._counts * (self._counts - 1)).sum() / (self.size * (self.size - 1))
        return len(self._counts) - float(same)
