"""The cost of the architecture that mixing weights stand for, and what it adds to the loss of the alphas.

The expected cost ``E = fixed + sum_e share[e] sum_o p[e, o] cost[e, o]`` is that of ProxylessNAS (Cai, Zhu and Han,
2019, arXiv:1812.00332, section 3.3) and FBNet (Wu et al., 2019, arXiv:1812.03443), here for every cost that adds up
over the operations. An edge's share is 1 where architectures keep all edges. Where a node keeps k of its n incoming
edges it is k / n, or with edge normalisation ``k beta[e]``, as the betas that enter a node sum to one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.alphas import Mixture
from supernet.costs.cells import CellCosts
from supernet.costs.tables import CostTable, extremes
from supernet.errors import UserError


class CostTerm:
    """A term in the loss of the alphas.

    Without a target ``weight E / E_0``, where ``E_0`` is the expected cost when all operations are mixed alike: the
    weight does not depend on the unit. With a target ``weight |C / target - 1|``, which pulls from both sides (TuNAS,
    Bender et al., 2020, arXiv:2008.06120). C is E, or the cost of the strongest operations with the gradient of E (a
    straight-through estimate, Bengio, Léonard and Courville, 2013, arXiv:1308.3432): as long as alphas are undecided,
    an expectation on target says little about the architecture that is read off.

    Args:
        space: what is searched.
        table: what each operation costs.
        weight: of the term.
        target: the wanted cost, in the table's unit; None for as little as possible.
        discretized: whether C is the cost of the strongest operations.

    Raises:
        UserError: where no architecture comes near the target, or the weight is negative.
    """

    def __init__(
        self,
        space: SearchSpace,
        table: CostTable,
        weight: float = 1.0,
        target: float | None = None,
        discretized: bool = False,
    ) -> None:
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
        self.discretized = discretized
        self._cells = {cell: CellCosts.of(space, cell, costs) for cell, costs in table.entries.items()}
        self._copies: dict[tuple[str, torch.device, torch.dtype], CellCosts] = {}
        alike = {cell: table / table.sum(dim=1, keepdim=True).clamp_min(1) for cell, table in space.allowed.items()}
        self.reference = float(self.expectation(Mixture(alike)))

    @property
    def unit(self) -> str:
        """What is counted: ``parameters``, ``multiply_adds`` or ``milliseconds``."""
        return self.table.unit

    def of(self, architecture: Architecture) -> float:
        """The cost of one architecture."""
        return self.table.of(architecture)

    def expectation(self, mixture: Mixture) -> Tensor:
        """E, a scalar, differentiable in the mixing weights and in the edges' factors."""
        parts = [
            self._costs(cell, weights).expected(weights, None if mixture.edges is None else mixture.edges[cell])
            for cell, weights in mixture.weights.items()
        ]
        return torch.stack(parts).sum() + self.table.fixed

    def strongest(self, mixture: Mixture) -> Tensor:
        """The cost of the strongest operations on the strongest edges, a scalar without a gradient."""
        parts = [
            self._costs(cell, weights).strongest(weights, None if mixture.edges is None else mixture.edges[cell])
            for cell, weights in mixture.weights.items()
        ]
        return torch.stack(parts).sum() + self.table.fixed

    def expected(self, mixture: Mixture) -> Tensor:
        """C, a scalar with the gradient of the expectation; nothing here waits for the device."""
        expectation = self.expectation(mixture)
        return expectation + (self.strongest(mixture) - expectation).detach() if self.discretized else expectation

    def term(self, expected: Tensor) -> Tensor:
        """What is added to the loss of the alphas, a scalar, from what `expected` gives."""
        if self.target is None:
            return self.weight / self.reference * expected
        return self.weight * (expected / self.target - 1).abs()

    def _costs(self, cell: str, weights: Tensor) -> CellCosts:
        """The costs of a cell type where the weights are; they are copied there once and not in every step."""
        key = (cell, weights.device, weights.dtype)
        if key not in self._copies:
            self._copies[key] = self._cells[cell].like(weights)
        return self._copies[key]


def readable(cost: float) -> str:
    """A cost for a message: ``3,512,347`` or ``0.8127``."""
    return f"{round(cost, 4):,.15g}"
