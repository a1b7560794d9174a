"""Selection by regularised evolution (Real et al., 2019, arXiv:1802.01548) with any score for fitness."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from torch import Generator

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory
from supernet.estimators.constraint import ConstraintFactory
from supernet.searchers.regularized_evolution import regularized_evolution
from supernet.selection.base import at_least
from supernet.selection.ledger import Ledger, Objectives
from supernet.selection.scored import ScoredSelection


class RegularizedEvolutionSelection(ScoredSelection):
    """The best of a regularised evolution.

    Args:
        folder: see `Objectives`, as the next one.
        estimator: see there.
        budget: see `regularized_evolution`, as the next two.
        population: see there.
        tournament: see there.
        cost: see `Objectives`, as all that follow.
        constraint: see there.
        workers: see there.
    """

    title = "regularised evolution"

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        budget: int = 1000,
        population: int = 100,
        tournament: int = 25,
        cost: EstimatorFactory | None = None,
        constraint: ConstraintFactory | None = None,
        workers: int | None = None,
    ) -> None:
        at_least(1, budget=budget, population=population, tournament=tournament)
        super().__init__(Objectives(Path(folder), estimator, cost, constraint, workers), budget)
        self.evolve = functools.partial(
            regularized_evolution, budget=budget, population=population, tournament=tournament
        )

    def search(self, ledger: Ledger, generator: Generator) -> Iterable[Architecture]:
        """See `ScoredSelection.search`."""
        space = ledger.task.space
        return self.evolve(space, ledger.score, generator, accept=ledger.accept, rescore=ledger.refit).scores
