"""The contract of a shrinkage: a task in, a smaller space out, by whatever scores architectures.

It is that of a warm start (`Outcome`), which looks at operations; a shrinkage looks at whole architectures, keeps many
of them, and shows the rounds it took.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.estimators.base import Task
from supernet.shrinkage.locality import Correlogram
from supernet.warm_start.architectures import log_frequencies, pooled
from supernet.warm_start.base import Effort, Outcome

NOTHING = Effort()


@dataclass(frozen=True)
class Round:
    """One round of a shrinkage.

    Attributes:
        size: architectures left before it.
        mean: score of those that it drew.
        best: score of any of them.
        distance: mean number of edges on which two architectures that are left before it differ.
        queries: architectures scored so far.
    """

    size: int
    mean: float
    best: float
    distance: float
    queries: int


@dataclass(frozen=True)
class Shrunk(Outcome):
    """What a shrinkage has found; see `Outcome`.

    Attributes:
        values: the score of each architecture of the pool, in its order; None where they were not scored.
        rounds: that it took.
        locality: how alike the scores of near architectures of its first sample are; None without a sample.
    """

    values: tuple[float, ...] | None = None
    rounds: tuple[Round, ...] = ()
    locality: Correlogram | None = None


class Shrinkage(ABC):
    """Makes a space smaller before a search.

    Attributes:
        leaves_pool: whether the space that is left has a `pool`.
    """

    leaves_pool: ClassVar[bool] = True

    def check(self, task: Task) -> None:  # noqa: B027 (some have nothing to check)
        """Raise ValueError where the settings do not fit the task, before any work."""

    def __call__(self, task: Task) -> Shrunk:
        """What is left of ``task.space``; a function of the task but for the seconds it took.

        The seconds are those by the clock, and of what was scored before an interruption. Raises ValueError where the
        settings do not fit the task; see `check`.
        """
        self.check(task)
        start = time.perf_counter()
        found = self.look(task)
        seconds = found.effort.seconds + time.perf_counter() - start
        return replace(found, effort=replace(found.effort, seconds=seconds))

    @abstractmethod
    def look(self, task: Task) -> Shrunk:
        """The same; the seconds of its effort are those before an interruption alone."""


def kept(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    kappa: float,
    values: Tensor | None = None,
    effort: Effort = NOTHING,
    rounds: Sequence[Round] = (),
    locality: Correlogram | None = None,
) -> Shrunk:
    """The outcome that leaves these architectures of a space, in this order, with the `prior_start` of them.

    ``values`` are their scores ``(architectures,)``; the other arguments are those of `Shrunk`.
    """
    smaller = pooled(space, architectures)
    start = prior_start(smaller, kappa) if kappa else None
    scores = None if values is None else tuple(values.tolist())
    return Shrunk(smaller, None, start, effort, scores, tuple(rounds), locality)


def prior_start(space: SearchSpace, kappa: float) -> Mapping[str, Tensor]:
    """Logits ``kappa log f`` from which the alphas start, f how often the pool has an operation on an edge.

    Each operation is counted once more, so that none is ruled out; an edge's logits have the mean zero.
    """
    logits = {}
    for cell, table in log_frequencies(space, space.pool or ()).items():
        logits[cell] = (kappa * (table - table.nanmean(dim=1, keepdim=True))).nan_to_num(nan=0.0)
    return logits


def whole(**values: int) -> None:
    """Raise ValueError unless each value is a whole number, at least 1."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is {value}: it must be a whole number, at least 1")


def share(**values: float) -> None:
    """Raise ValueError unless each value is above 0 and at most 1."""
    for name, value in values.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} is {value}: it must be above 0 and at most 1")


def ordered(values: Tensor) -> Tensor:
    """The positions of scores ``(architectures,)`` from the best to the worst, of equals the first first."""
    return values.nan_to_num(nan=-torch.inf).argsort(descending=True, stable=True)
