"""What an architecture costs, as a sum over its operations: parameters and multiply-adds, exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.network import Network, multiply_adds, parameters
from search_spaces.space import SearchSpace
from supernet.costs.survey import Image, Place, survey
from supernet.errors import UserError


@dataclass(frozen=True)
class CostTable:
    """Costs that add up.

    Attributes:
        unit: ``parameters``, ``multiply_adds`` or ``milliseconds``.
        entries: for each cell type what an operation on an edge costs in all cells of the type together,
            ``(edges, operations)`` in float64.
        fixed: the cost of everything that is not searched.
    """

    unit: str
    entries: Mapping[str, Tensor]
    fixed: float

    def of(self, architecture: Architecture) -> float:
        """The cost of one architecture: the fixed part and its operations."""
        chosen = [
            self.entries[cell][edge, choice]
            for cell, row in architecture.choices
            for edge, choice in enumerate(row)
            if choice != DROPPED
        ]
        return self.fixed + float(torch.stack(chosen).sum())


def tabulate(
    unit: str, space: SearchSpace, places: tuple[Place, ...], cost: Callable[[Place], float], fixed: float
) -> CostTable:
    """The table of costs known for each place."""
    entries = {cell: torch.zeros(table.shape, dtype=torch.float64) for cell, table in space.allowed.items()}
    for place in places:
        entries[place.cell][list(place.edges), place.index] += cost(place)
    return CostTable(unit, entries, fixed)


def counted(space: SearchSpace, image: Image, unit: Literal["parameters", "multiply_adds"]) -> CostTable:
    """The table of parameters, or of multiply-adds for one image, of the space's stand-alone networks.

    Raises `UserError` where they do not add up, as in a space whose widths depend on the architecture.
    """
    if unit not in ("parameters", "multiply_adds"):
        raise ValueError(f"unit is {unit!r}: it must be 'parameters' or 'multiply_adds'")

    def whole(network: Network) -> int:
        return parameters(network) if unit == "parameters" else multiply_adds(network.to("meta"), image)

    found = survey(space, image)
    total: int = getattr(found, unit)
    fixed = total - sum(getattr(place, unit) for place in found.places)
    table = tabulate(unit, space, found.places, lambda place: getattr(place, unit), fixed)
    (architecture,) = space.sample(1, torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        network = space.network(architecture)
    if whole(network) != table.of(architecture):
        raise UserError(f"{unit} of {space.name} do not add up over its operations, so that no search can weigh them")
    return table


def resized(space: SearchSpace, network: Mapping[str, Any] | None) -> SearchSpace:
    """The same space, unrestricted, with networks of another size; None, also in ``network``, keeps what there is."""
    changes = {name: value for name, value in (network or {}).items() if value is not None}
    unknown = sorted(set(changes) - set(space.arguments))
    if unknown:
        raise UserError(
            f"cost.network.{unknown[0]}: the networks of {space.name} have no such argument; "
            f"there are {', '.join(space.arguments)}"
        )
    return space.resized(**changes)


def sized(image: Image, size: int | None) -> Image:
    """The same images with another height and width; None for the same."""
    channels, height, width = image
    return channels, size or height, size or width


def extremes(space: SearchSpace, table: CostTable) -> tuple[float, float]:
    """What the cheapest and the dearest architecture cost that `space` still has."""
    cheap, dear = {}, {}
    for cell, costs in table.entries.items():
        rows = space.rows(cell)
        fewest = torch.inf if space.fewer_inputs else -torch.inf  # edges above it are kept beyond a node's first
        cheap[cell] = rows.strongest(space.masked(cell, {cell: -costs}), fewest)
        dear[cell] = rows.strongest(space.masked(cell, {cell: costs}))
    return table.of(Architecture.of(cheap)), table.of(Architecture.of(dear))
