"""What a shrinkage has done to a space: its size, its diversity and, by a table, its architectures' quality.

LISSNAS (Gopal et al., 2023) compares spaces by a "shrink index". The four quantities here, gain, reduction, retention
and diversity ratio, are our own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.shrinkage.diversity import entropy, mean_distance

SHARES = (0.005, 0.01)
"""The true best whose survival is reported: half a percent and one percent of the space."""


@dataclass(frozen=True)
class Quality:
    """What a table says; accuracies in percent.

    Attributes:
        mean_before: accuracy of all architectures of the space.
        best_before: the highest of them.
        mean: accuracy of those that are left.
        best: the highest of them.
        retention: for each share of `SHARES` how much of the best so large part of the space is left.
    """

    mean_before: float
    best_before: float
    mean: float
    best: float
    retention: Mapping[float, float]

    @property
    def gain(self) -> float:
        """``(mean - mean_before) / (best_before - mean_before)``: 0 as before, 1 where only the best is left."""
        room = self.best_before - self.mean_before
        return (self.mean - self.mean_before) / room if room else 0.0


@dataclass(frozen=True)
class Report:
    """A space before and after.

    Attributes:
        size_before: architectures.
        size: that are left.
        distance_before: the mean number of edges on which two architectures differ.
        distance: of those that are left.
        entropy_before: of an edge's operations in bits, the mean over the edges.
        entropy: of what is left.
        quality: what a table says, None without one.
    """

    size_before: int
    size: int
    distance_before: float
    distance: float
    entropy_before: float
    entropy: float
    quality: Quality | None = field(default=None)

    @property
    def reduction(self) -> float:
        """``log10(size_before / size)``."""
        return math.log10(self.size_before) - math.log10(self.size)

    @property
    def diversity_ratio(self) -> float:
        """``distance / distance_before``."""
        return self.distance / self.distance_before if self.distance_before else 1.0

    def plain(self) -> dict[str, object]:
        """All of it as plain values, for a file."""
        found = {**asdict(self), "reduction": self.reduction, "diversity_ratio": self.diversity_ratio}
        if self.quality is not None:
            shares = {f"top {100 * share:g} %": kept for share, kept in self.quality.retention.items()}
            found["quality"] = {**asdict(self.quality), "gain": self.quality.gain, "retention": shares}
        return found


def report(before: SearchSpace, after: SearchSpace, truth: Mapping[Architecture, float] | None = None) -> Report:
    """What is left of a space; ``truth`` has the accuracy of each architecture of the space before, None if unknown."""
    return Report(
        before.size(), after.size(), mean_distance(before), mean_distance(after), entropy(before), entropy(after),
        None if truth is None else quality(after, truth),
    )  # fmt: skip


def quality(after: SearchSpace, truth: Mapping[Architecture, float]) -> Quality:
    """How good the architectures are that are left of those in ``truth``. Of equally good ones the first count."""
    values = np.fromiter(truth.values(), dtype=np.float64)
    left = set(after.enumerate())
    stays = np.fromiter((one in left for one in truth), dtype=bool)
    order = np.argsort(-values, kind="stable")
    best = {share: order[: max(1, round(share * len(values)))] for share in SHARES}
    return Quality(
        float(values.mean()), float(values.max()), float(values[stays].mean()), float(values[stays].max()),
        {share: float(stays[members].mean()) for share, members in best.items()},
    )  # fmt: skip
