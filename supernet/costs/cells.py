"""What the cells of one type cost under mixing weights: on average, and with the strongest operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class CellCosts:
    """The costs of a cell type's operations, and which of them an architecture has.

    Attributes:
        costs: ``(edges, operations)``.
        named: which operations an architecture can have ``(operations,)``, as zeros and ones; None for all.
        candidates: which an edge can have ``(edges, operations)``.
        keep: how many edges the node keeps that an edge enters ``(edges,)``.
        share: of the edges that enter a node the part it keeps ``(edges,)``.
        siblings: whether two edges enter the same node ``(edges, edges)``.
        earlier: whether they do and the second comes first.
    """

    costs: Tensor
    named: Tensor | None
    candidates: Tensor
    keep: Tensor
    share: Tensor
    siblings: Tensor
    earlier: Tensor

    @classmethod
    def of(cls, space: SearchSpace, cell: str, costs: Tensor) -> CellCosts:
        """For a cell type of this space."""
        ends = [end for _, end in space.edges[cell]]
        entering, kept = Counter(ends), space.inputs.get(cell, {})
        named = torch.tensor([name not in space.unchosen for name in space.operations[cell]], dtype=costs.dtype)
        keep = torch.tensor([kept.get(end, entering[end]) for end in ends], dtype=costs.dtype)
        share = keep / torch.tensor([entering[end] for end in ends])
        siblings = torch.tensor(ends)[:, None] == torch.tensor(ends)
        chosen = None if bool(named.all()) else named
        return cls(costs, chosen, space.candidates(cell), keep, share, siblings, siblings.tril(-1))

    def like(self, weights: Tensor) -> CellCosts:
        """The same on the device and in the type of these weights."""

        def moved(tensor: Tensor | None) -> Any:
            return tensor if tensor is None else tensor.to(weights.device if tensor.dtype == torch.bool else weights)

        return CellCosts(*(moved(getattr(self, field.name)) for field in fields(self)))

    def expected(self, weights: Tensor, edges: Tensor | None) -> Tensor:
        """``sum_e share[e] sum_o p[e, o] cost[e, o]``.

        Without factors of the edges a node keeps each of its edges equally often; with them, in proportion. What a
        mixture gives to an operation that no architecture has (``none`` in DARTS) counts for the others in proportion:
        it cannot make the architecture any cheaper.
        """
        mixed = (weights * self.costs).sum(dim=1)
        if self.named is not None:
            smallest = torch.finfo(weights.dtype).eps
            mixed = mixed * weights.sum(dim=1) / (weights * self.named).sum(dim=1).clamp_min(smallest)
        return ((self.share if edges is None else self.keep * edges) * mixed).sum()

    @torch.no_grad()
    def strongest(self, weights: Tensor, edges: Tensor | None) -> Tensor:
        """The cost of each node's strongest edges, each with its strongest operation: what the mixture stands for.

        A space's further rules (a threshold, a largest number of skips) are left aside.
        """
        weights = weights if edges is None else weights * edges[:, None]
        best, choices = weights.masked_fill(~self.candidates, -torch.inf).max(dim=1)
        ahead = (self.siblings & (best > best[:, None])) | (self.earlier & (best == best[:, None]))
        kept = (ahead.sum(dim=1) < self.keep) & best.isfinite()
        return (self.costs.gather(1, choices[:, None]).squeeze(1) * kept).sum()
