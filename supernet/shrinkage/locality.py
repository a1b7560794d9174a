"""Locality: how alike the scores of architectures are that differ little.

Shrinking by neighbourhoods (Gopal, Sridhar, Zhang and Chen, 2023, arXiv:2307.03110) rests on it. The correlogram
``L(d) = corr(y(a), y(b))`` is over all pairs at the edit distance d. The autocorrelation of a random walk, which
changes one edge a step, says the same where a space is too large for pairs to be near each other by chance. These two,
usual ones for fitness landscapes, are our choice and not the paper's own measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Generator, Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

BLOCK = 128  # architectures whose distances to all others are held at once


@dataclass(frozen=True)
class Correlogram:
    """Correlations by edit distance; entry d - 1 is of distance d.

    Attributes:
        pearson: of the values; NaN where there are no pairs, or no differences.
        spearman: of their ranks among all values.
        pairs: how many pairs there are.
    """

    pearson: tuple[float, ...]
    spearman: tuple[float, ...]
    pairs: tuple[int, ...]


def choices(architectures: Sequence[Architecture]) -> Tensor:
    """The operation on each edge of all cell types ``(architectures, edges)``, -1 on one that is not kept."""
    return torch.tensor([[choice for _, row in one.choices for choice in row] for one in architectures])


def correlogram(architectures: Sequence[Architecture], values: Tensor) -> Correlogram:
    """How the finite ``values (architectures,)`` of different architectures are correlated, by edit distance."""
    finite = values.isfinite()
    rows, found = choices(architectures)[finite], values[finite].double()
    ranks = torch.from_numpy(stats.rankdata(found.numpy()))
    columns = torch.stack([found - found.mean(), ranks - ranks.mean()], dim=1)  # (architectures, 2)
    edges, operations = rows.shape[1], int(rows.max()) + 2
    labels = torch.nn.functional.one_hot(rows + 1, operations).flatten(1).float()
    summed = torch.cat([torch.ones(len(rows), 1), columns.float()], dim=1)
    pairs = torch.zeros(edges, dtype=torch.float64)
    first, second, product = (torch.zeros(edges, 2, dtype=torch.float64) for _ in range(3))
    for start in range(0, len(rows), BLOCK):
        block = columns[start : start + BLOCK]
        same = labels[start : start + BLOCK] @ labels.T  # edges on which two architectures agree, exact in float32
        for distance in range(1, edges + 1):
            count, sums = ((same == edges - distance).float() @ summed).double().split([1, 2], dim=1)
            pairs[distance - 1] += count.sum()
            first[distance - 1] += (count * block).sum(dim=0)
            second[distance - 1] += (count * block.square()).sum(dim=0)
            product[distance - 1] += (block * sums).sum(dim=0)
    mean = first / pairs[:, None]
    variance = second / pairs[:, None] - mean.square()
    correlation = (product / pairs[:, None] - mean.square()) / variance
    pearson, spearman = correlation.masked_fill(variance <= 0, torch.nan).T.tolist()
    return Correlogram(tuple(pearson), tuple(spearman), tuple(int(count) // 2 for count in pairs.tolist()))


def radius(found: Correlogram, least: float = 0.45, most: int = 2) -> int:
    """The largest distance up to which Spearman's correlation is at least so large; at least 1, at most ``most``."""
    for distance, correlation in enumerate(found.spearman[:most], start=1):
        if not correlation >= least:
            return max(1, distance - 1)
    return most


def random_walk(space: SearchSpace, steps: int, generator: Generator) -> list[Architecture]:
    """``steps + 1`` architectures, each a random neighbour of the one before, from a random one on."""
    walk = space.sample(1, generator)
    for _ in range(steps):
        walk.append(space.mutate(walk[-1], generator))
    return walk


def autocorrelation(series: Tensor, lags: int) -> list[float]:
    """The correlation of a series ``(steps,)`` with itself, 1 to ``lags`` steps later.

    ``r(t) = sum_i (y[i] - m) (y[i + t] - m) / sum_i (y[i] - m)^2 * n / (n - t)``.
    """
    if not 1 <= lags < len(series):
        raise ValueError(f"lags is {lags}: it must be at least 1 and less than the {len(series)} values")
    centred = series.double() - series.double().mean()
    power = centred.square().mean()
    return [float((centred[:-lag] * centred[lag:]).mean() / power) for lag in range(1, lags + 1)]
