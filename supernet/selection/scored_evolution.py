"""Evolution by a score that needs no training, even one that ranks architectures among each other.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", 2024, arXiv:2403.19232, rank all
architectures of an evolution anew whenever there are more. The evolution itself is that of SPOS, see `evolve`.
"""

from __future__ import annotations

import functools
from pathlib import Path

from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory
from supernet.modules.search import SearchModule
from supernet.searchers.evolution import check, evolve
from supernet.selection.base import SCORE, Selected, Selection, prepare, task_of
from supernet.selection.ledger import Ledger, Objectives


class ScoredEvolutionSelection(Selection):
    """The best of an evolution whose fitness is the score among all architectures so far.

    ``scores.csv`` has a line for each architecture as soon as it is measured; a resumed search measures none of them
    again.

    Args:
        folder: see `Objectives`, as the next one.
        estimator: see there.
        population: see `evolve`, as the next three.
        generations: see there.
        survivors: see there.
        mutation: see there.
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
        population: int = 50,
        generations: int = 20,
        survivors: int = 10,
        mutation: float = 0.1,
        cost: EstimatorFactory | None = None,
        constraint: ConstraintFactory | None = None,
        workers: int | None = None,
    ) -> None:
        check(population, generations, survivors, mutation)
        self.objectives = Objectives(Path(folder), estimator, cost, constraint, workers)
        self.budget = population * generations
        self.evolve = functools.partial(
            evolve, population=population, generations=generations, survivors=survivors, mutation=mutation
        )

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.objectives.check(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        ledger = Ledger(self.objectives, task_of(module, images))
        with ledger.searching(self.budget, "evolution"):
            found = self.evolve(module.space, ledger.score, generator, accept=ledger.accept, rescore=ledger.refit)
        return ledger.finish([architecture for generation in found.generations for architecture, _ in generation])
