"""Which architectures a search may look at: those whose cost lies between two bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch

from search_spaces.architecture import Architecture
from supernet.costs.base import readable
from supernet.costs.tables import CostTable, extremes
from supernet.errors import UserError
from supernet.estimators.base import EstimatorFactory, Measured, Task

LISTED = 100_000
"""Spaces up to this size are listed to see whether anything satisfies a constraint; of larger ones some are drawn."""
DRAWN = 1000


class Constraint:
    """Accepts the architectures that cost at most, or at least, so much.

    Args:
        task: of the search.
        cost: measures one number of an architecture: parameters, multiply-adds, milliseconds, or any other.
        most: the largest cost that is accepted; None for any.
        least: the smallest.

    Raises:
        UserError: where there is no bound, or the smaller one is above the larger.
        ValueError: for an estimator that is no measured number.
    """

    def __init__(
        self, task: Task, cost: EstimatorFactory, most: float | None = None, least: float | None = None
    ) -> None:
        if most is None and least is None:
            raise UserError("constraint.most is needed, or constraint.least; or use constraint=none")
        if most is not None and least is not None and least > most:
            raise UserError(f"constraint.least={readable(least)} is above constraint.most={readable(most)}")
        self.space = task.space
        self.cost = single(cost, task)
        self.most = math.inf if most is None else most
        self.least = -math.inf if least is None else least
        self._known: dict[Architecture, float] = {}

    def of(self, architecture: Architecture) -> float:
        """What an architecture costs."""
        if architecture not in self._known:
            (self._known[architecture],) = self.cost.measurements(architecture)
        return self._known[architecture]

    def __call__(self, architecture: Architecture) -> bool:
        """Whether it is accepted."""
        return self.least <= self.of(architecture) <= self.most

    def check(self) -> None:
        """Raise `UserError` where no valid architecture of the space is accepted, or none of many random ones is.

        In a space that is too large to list, a constraint that architectures can satisfy by their cost alone passes.
        """
        table: CostTable | None = getattr(self.cost, "table", None)
        listed = self.space.size() <= LISTED and (table is not None or self.space.pool is not None)
        if table is not None and self.space.pool is None:
            low, high = extremes(self.space, table)
            fits = low <= self.most and self.least <= high
            fits = fits and (not listed or any(map(self, filter(self.space.is_valid, self.space.enumerate()))))
        else:
            seen = [self.of(one) for one in (self.space.enumerate() if listed else self._drawn())]
            low, high = min(seen), max(seen)
            fits = any(self.least <= cost <= self.most for cost in seen)
        if not fits:
            bounds = {"most": self.most, "least": self.least}
            given = " ".join(
                f"constraint.{key}={readable(bound)}" for key, bound in bounds.items() if abs(bound) < math.inf
            )
            raise UserError(
                f"{given}: no architecture was found that satisfies it; those of {self.space.name} cost from "
                f"{readable(low)} to {readable(high)}"
            )

    def _drawn(self) -> Iterator[Architecture]:
        generator = torch.Generator().manual_seed(0)
        found = filter(self.space.is_valid, self.space.sample(DRAWN, generator))
        return itertools.islice(found, DRAWN // 10)


ConstraintFactory = Callable[[Task], Constraint]
"""What a configuration gives (``_partial_: true``): a constraint that still has to be told its task."""


def accepting(factory: ConstraintFactory | None, task: Task) -> Constraint | None:
    """The constraint for a task. Raises `UserError` where nothing satisfies it."""
    if not factory:  # constraint=none arrives as an empty configuration
        return None
    constraint = factory(task)
    constraint.check()
    return constraint


def single(factory: EstimatorFactory, task: Task) -> Measured:
    """An estimator that measures one number. Raises ValueError for any other."""
    made = factory(task)
    if not isinstance(made, Measured) or len(made.names) != 1:
        raise ValueError(f"{type(made).__name__} is no cost: it must measure one number of an architecture")
    return made
