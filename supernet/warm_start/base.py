"""The contract of a warm start: a task in, a smaller space and perhaps a start of the alphas out."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from search_spaces.architecture import Allowed
from search_spaces.space import SearchSpace
from supernet.estimators.base import Task

CUTTING = frozenset({"none", "noise"})
"""Operations whose output does not depend on their input."""


@dataclass(frozen=True)
class Effort:
    """What a warm start has cost.

    Attributes:
        networks: that were looked at.
        forwards: passes through them, one batch each.
        backwards: passes back.
        seconds: by the clock.
    """

    networks: int = 0
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        """What both have cost."""
        return Effort(
            self.networks + other.networks, self.forwards + other.forwards,
            self.backwards + other.backwards, self.seconds + other.seconds,
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a warm start has found.

    Attributes:
        space: what is left to search.
        scores: for each cell type how good an operation is on an edge ``(edges, operations)``, comparable in the whole
            table, NaN for what was not scored; None for a warm start that does not score operations.
        start: logits ``(edges, operations)`` from which the alphas start: softmax of an edge's logits is its mixture;
            None for the usual start.
        effort: what it has cost.
    """

    space: SearchSpace
    scores: Mapping[str, Tensor] | None = None
    start: Mapping[str, Tensor] | None = None
    effort: Effort = Effort()


class WarmStart(ABC):
    """Looks at untrained networks of a space and says which of its operations, or architectures, a search may skip.

    Attributes:
        leaves_pool: whether the space that is left has a `pool`.
        moves_alphas: whether it says where the alphas start.
    """

    leaves_pool: ClassVar[bool] = False
    moves_alphas: bool = False

    def check(self, task: Task) -> None:  # noqa: B027 (most controls have nothing to check)
        """Raise ValueError where the settings do not fit the task, before any work."""

    def idle(self, space: SearchSpace) -> bool:
        """Whether it would leave everything in this space as it is, whatever it found."""
        return False

    def __call__(self, task: Task) -> Outcome:
        """What is left of ``task.space``; a function of the task but for the seconds it took.

        The seconds are those by the clock, and of what was measured before an interruption. Raises ValueError where the
        settings do not fit the task; see `check`.
        """
        self.check(task)
        start = time.perf_counter()
        outcome = self.look(task)
        seconds = outcome.effort.seconds + time.perf_counter() - start
        return replace(outcome, effort=replace(outcome.effort, seconds=seconds))

    @abstractmethod
    def look(self, task: Task) -> Outcome:
        """The same; the seconds of its effort are those before an interruption alone."""


def contested(space: SearchSpace, cell: str) -> Tensor:
    """The candidates of edges that have more than one ``(edges, operations)``, which alone leave anything to choose."""
    candidates = space.candidates(cell)
    return candidates & (candidates.sum(dim=1, keepdim=True) > 1)


def dropped(before: Allowed, after: Allowed) -> dict[str, list[tuple[int, int]]]:
    """For each cell type the pairs (edge, operation) that a smaller space has lost."""
    return {cell: [(e, o) for e, o in (table & ~after[cell]).nonzero().tolist()] for cell, table in before.items()}
