"""Selection by regularised evolution (Real et al., 2019, arXiv:1802.01548) with any score for fitness."""

from __future__ import annotations

import functools
from pathlib import Path

from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory
from supernet.modules.search import SearchModule
from supernet.searchers.regularized_evolution import regularized_evolution
from supernet.selection.base import SCORE, Selected, Selection, at_least, prepare, task_of
from supernet.selection.ledger import Ledger, Objectives


class RegularizedEvolutionSelection(Selection):
    """The best of a regularised evolution.

    ``scores.csv`` has a line for each architecture as soon as it is measured; a resumed search measures none of them
    again.

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

    respects_pool = True
    respects_constraint = True
    needs_training = False
    measures = (SCORE,)

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
        self.objectives = Objectives(Path(folder), estimator, cost, constraint, workers)
        self.budget = budget
        self.evolve = functools.partial(
            regularized_evolution, budget=budget, population=population, tournament=tournament
        )

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.objectives.check(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        ledger = Ledger(self.objectives, task_of(module, images))
        with ledger.searching(self.budget, "regularised evolution"):
            history = self.evolve(module.space, ledger.score, generator, accept=ledger.accept, rescore=ledger.refit)
        return ledger.finish(list(history.scores))
