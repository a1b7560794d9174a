"""Several scores made one by their ranks, which have a common scale.

The sum of logarithms of ranks is that of AZ-NAS (Lee and Ham, 2024, arXiv:2403.19232): one very bad score sinks an
architecture, which no other can make up for. The plain sum of ranks is that of TE-NAS (Chen et al., 2021,
arXiv:2102.11535).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from scipy import stats
from torch import Tensor

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.estimators.several import Several


class RankAggregate(Measured):
    """Combines the scores of several estimators; it depends on all architectures that are scored together.

    Args:
        task: what is scored.
        estimators: what is combined, by name; each must be `Measured`.
        scale: ``log``: the sum of ``log(rank / m)`` among m architectures, rank m the best; ``linear``: that of ranks.
    """

    def __init__(
        self, task: Task, estimators: Mapping[str, EstimatorFactory], scale: Literal["log", "linear"] = "log"
    ) -> None:
        if scale not in ("log", "linear"):
            raise ValueError(f"scale is {scale!r}: it must be 'log' or 'linear'")
        self.task = task
        self.scale = scale
        self.several = Several(task, estimators)
        self.names = self.several.names

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`: those of all parts; of what cannot work, nothing that a part may know of it."""
        if not self.task.space.is_valid(architecture):
            return (-math.inf,) * len(self.names)
        return self.several.measurements(architecture)

    def combine(self, measurements: Tensor) -> Tensor:
        """See `Measured.combine`."""
        parts = self.several.parts.values()
        columns = measurements.split([len(part.names) for part in parts], dim=1)
        scores = [part.combine(column) for part, column in zip(parts, columns, strict=True)]
        return rank_sum(torch.stack(scores, dim=1), self.scale)


def rank_sum(scores: Tensor, scale: Literal["log", "linear"] = "log") -> Tensor:
    """One score ``(architectures,)`` from several ``(architectures, scores)``, in float64.

    Equal scores share their mean rank. Whatever has minus infinity, or what is not a number, has the lowest rank in
    that score, however many have; with nothing else, its sum is minus infinity.
    """
    found = scores.double().nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    ranks = torch.from_numpy(stats.rankdata(found.numpy(), axis=0))
    lowest = found == -torch.inf
    shares = ranks.masked_fill(lowest, 1.0) / len(ranks)
    total = (shares.log() if scale == "log" else shares).sum(dim=1)
    return total.masked_fill(lowest.all(dim=1), -torch.inf)
