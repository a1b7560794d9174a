"""Selection by local search (White, Nolen and Savani, 2021, arXiv:2005.02960) with any score."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from torch import Generator

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory
from supernet.estimators.constraint import ConstraintFactory
from supernet.searchers.local_search import local_search
from supernet.selection.base import at_least
from supernet.selection.ledger import Ledger, Objectives
from supernet.selection.scored import ScoredSelection


class LocalSearchSelection(ScoredSelection):
    """The best of all local optima that the budget allows to climb to.

    Args:
        folder: see `Objectives`, as the next one.
        estimator: see there.
        budget: see `local_search`, as the next two.
        starts: see there.
        step: see there.
        cost: see `Objectives`, as all that follow.
        constraint: see there.
        workers: see there.
    """

    title = "local search"

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        budget: int = 1000,
        starts: int = 1,
        step: int | None = None,
        cost: EstimatorFactory | None = None,
        constraint: ConstraintFactory | None = None,
        workers: int | None = None,
    ) -> None:
        at_least(1, budget=budget, starts=starts, **({} if step is None else {"step": step}))
        super().__init__(Objectives(Path(folder), estimator, cost, constraint, workers), budget)
        self.climb = functools.partial(local_search, budget=budget, starts=starts, step=step)

    def search(self, ledger: Ledger, generator: Generator) -> Iterable[Architecture]:
        """See `ScoredSelection.search`."""
        space = ledger.task.space
        return self.climb(space, ledger.score, generator, accept=ledger.accept, rescore=ledger.refit).scores
