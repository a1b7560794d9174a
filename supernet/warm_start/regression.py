"""What the scores of architectures say about their operations: main effects by regression on indicators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy import stats
from torch import Tensor

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.space import SearchSpace

RIDGE = 1e-3  # makes the solution unique, as each edge's indicators sum to a constant; an operation occurs 10s of times


def normal_scores(values: Tensor) -> Tensor:
    """The normal quantiles of the ranks: ``Phi^-1((rank - 3/8) / (n + 1/4))``, a vector ``(n,)`` in float64.

    Blom, 1958, "Statistical Estimates and Transformed Beta-Variables". Equal values share their mean rank, what is not
    a number ranks with minus infinity. A score's own scale, and its outliers, no longer matter.
    """
    ordered = values.double().nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    ranks = torch.from_numpy(stats.rankdata(ordered.numpy()))
    return torch.special.ndtri((ranks - 0.375) / (len(ranks) + 0.25))


def effects(
    space: SearchSpace, architectures: Sequence[Architecture], values: Tensor, ridge: float = RIDGE
) -> dict[str, Tensor]:
    """For each cell type the effect of each candidate ``(edges, operations)``, in float64.

    What is no candidate, or none of the architectures has, is NaN.

    The ridge regression ``min_b |y - Xb|^2 + ridge |b|^2`` of the centred values on the indicators of (cell type, edge,
    operation); of each edge the mean over its candidates is subtracted, because an edge's operations can only be
    compared with each other.

    Args:
        space: what the architectures belong to.
        architectures: ``n`` of them.
        values: a number for each ``(n,)``.
        ridge: the weight of ``|b|^2``.
    """
    position: dict[tuple[str, int, int], int] = {}
    for cell in space.edges:
        for edge, operation in space.candidates(cell).nonzero().tolist():
            position[cell, edge, operation] = len(position)
    indicators = torch.zeros(len(architectures), len(position), dtype=torch.float64)
    for row, architecture in enumerate(architectures):
        for cell, choices in architecture.choices:
            for edge, choice in enumerate(choices):
                if choice != DROPPED:
                    indicators[row, position[cell, edge, choice]] = 1.0
    target = values.double() - values.double().mean()
    normal = indicators.T @ indicators + ridge * torch.eye(len(position), dtype=torch.float64)
    solution = torch.linalg.solve(normal, indicators.T @ target)
    solution[~(indicators > 0).any(dim=0)] = torch.nan
    found = {}
    for cell in space.edges:
        table = torch.full(space.allowed[cell].shape, torch.nan, dtype=torch.float64)
        for (name, edge, operation), index in position.items():
            if name == cell:
                table[edge, operation] = solution[index]
        found[cell] = table - table.nanmean(dim=1, keepdim=True)
    return found
