"""Selection by local search (White, Nolen and Savani, 2021, arXiv:2005.02960) with any score."""

from __future__ import annotations

import functools
from pathlib import Path

from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory
from supernet.modules.search import SearchModule
from supernet.searchers.local_search import local_search
from supernet.selection.base import SCORE, Selected, Selection, at_least, prepare, task_of
from supernet.selection.ledger import Ledger, Objectives


class LocalSearchSelection(Selection):
    """The best of all local optima that the budget allows to climb to; for files see `RegularizedEvolutionSelection`.

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

    respects_pool = True
    respects_constraint = True
    needs_training = False
    measures = (SCORE,)

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
        self.objectives = Objectives(Path(folder), estimator, cost, constraint, workers)
        self.budget = budget
        self.climb = functools.partial(local_search, budget=budget, starts=starts, step=step)

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.objectives.check(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        ledger = Ledger(self.objectives, task_of(module, images))
        with ledger.searching(self.budget, "local search"):
            history = self.climb(module.space, ledger.score, generator, accept=ledger.accept, rescore=ledger.refit)
        return ledger.finish(list(history.scores))
