"""The expected cost of the architecture that mixing weights stand for, and what it adds to the loss of the alphas.

``E = fixed + sum_e share[e] sum_o p[e, o] cost[e, o]``, the expected latency of ProxylessNAS (Cai, Zhu and Han, 2019,
arXiv:1812.00332, section 3.3) and FBNet (Wu et al., 2019, arXiv:1812.03443), here for every cost that adds up over the
operations. An edge's share is 1 where architectures keep all edges. Where a node keeps k of its n incoming edges it is
k / n, or with edge normalisation ``k beta[e]``, as the betas that enter a node sum to one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.alphas import Mixture
from supernet.costs.tables import CostTable, extremes
from supernet.errors import UserError


@dataclass(frozen=True)
class CellCosts:
    """What the expectation needs of a cell type.

    Attributes:
        costs: ``(edges, operations)``.
        chosen: which operations an architecture can have ``(operations,)``, as zeros and ones; None for all.
        keep: how many edges the node keeps that an edge enters ``(edges,)``.
        share: of the edges that enter a node the part it keeps ``(edges,)``.
    """

    costs: Tensor
    chosen: Tensor | None
    keep: Tensor
    share: Tensor

    @classmethod
    def of(cls, space: SearchSpace, cell: str, costs: Tensor) -> CellCosts:
        """For a cell type of this space."""
        ends = [end for _, end in space.edges[cell]]
        entering = Counter(ends)
        kept = space.inputs.get(cell, {})
        keep = torch.tensor([kept.get(end, entering[end]) for end in ends], dtype=costs.dtype)
        share = keep / torch.tensor([entering[end] for end in ends])
        chosen = torch.tensor([name not in space.unchosen for name in space.operations[cell]])
        return cls(costs, None if bool(chosen.all()) else chosen.to(costs.dtype), keep, share)

    def like(self, weights: Tensor) -> CellCosts:
        """The same on the device and in the type of these weights."""
        chosen = None if self.chosen is None else self.chosen.to(weights)
        return CellCosts(self.costs.to(weights), chosen, self.keep.to(weights), self.share.to(weights))


class CostTerm:
    """A term in the loss of the alphas.

    Without a target ``weight E / E_0``, where ``E_0`` is the expected cost when all operations are mixed alike: the
    weight does not depend on the unit. With a target ``weight |E / target - 1|``, which pulls from both sides (TuNAS,
    Bender et al., 2020, arXiv:2008.06120).

    Args:
        space: what is searched.
        table: what each operation costs.
        weight: of the term.
        target: the wanted cost, in the table's unit; None for as little as possible.

    Raises:
        UserError: where no architecture comes near the target, or the weight is negative.
    """

    def __init__(self, space: SearchSpace, table: CostTable, weight: float = 1.0, target: float | None = None) -> None:
        if weight < 0:
            raise UserError(f"cost.weight={weight}: it must not be negative")
        least, most = extremes(space, table)
        if target is not None and not least <= target <= most:
            raise UserError(
                f"cost.target={target:,}: the architectures of {space.name} have from {readable(least)} to "
                f"{readable(most)} {table.unit}; if another size of the network is meant, give it as "
                "cost.network.<argument>=..."
            )
        self.table = table
        self.weight = weight
        self.target = target
        self._cells = {cell: CellCosts.of(space, cell, costs) for cell, costs in table.entries.items()}
        self._copies: dict[tuple[str, torch.device, torch.dtype], CellCosts] = {}
        alike = {cell: allowed / allowed.sum(dim=1, keepdim=True).clamp_min(1) for cell, allowed in space.allowed.items()}
        self.reference = float(self.expected(Mixture(alike)))

    @property
    def unit(self) -> str:
        """What is counted: ``parameters``, ``multiply_adds`` or ``milliseconds``."""
        return self.table.unit

    def of(self, architecture: Architecture) -> float:
        """The cost of one architecture."""
        return self.table.of(architecture)

    def expected(self, mixture: Mixture) -> Tensor:
        """The expected cost, a scalar, differentiable in the mixing weights and in the edges' factors.

        What a mixture gives to an operation that no architecture has (``none`` in DARTS) counts for the others in
        proportion: it cannot make the architecture any cheaper.
        """
        parts = []
        for name, weights in mixture.weights.items():
            cell = self._like(name, weights)
            edges = (weights * cell.costs).sum(dim=1)
            if cell.chosen is not None:
                smallest = torch.finfo(weights.dtype).eps
                edges = edges * weights.sum(dim=1) / (weights * cell.chosen).sum(dim=1).clamp_min(smallest)
            share = cell.share if mixture.edges is None else cell.keep * mixture.edges[name]
            parts.append((share * edges).sum())
        return torch.stack(parts).sum() + self.table.fixed

    def term(self, expected: Tensor) -> Tensor:
        """What is added to the loss of the alphas, a scalar."""
        if self.target is None:
            return self.weight / self.reference * expected
        return self.weight * (expected / self.target - 1).abs()

    def _like(self, cell: str, weights: Tensor) -> CellCosts:
        """What the expectation needs, where the weights are; it is copied there once and not in every step."""
        key = (cell, weights.device, weights.dtype)
        if key not in self._copies:
            self._copies[key] = self._cells[cell].like(weights)
        return self._copies[key]


def readable(cost: float) -> str:
    """A cost for a message: ``3,512,347`` or ``0.8127``."""
    return f"{round(cost, 4):,.15g}"
