"""Evolution by a score that needs no training, even one that ranks architectures among each other.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", 2024, arXiv:2403.19232, rank all
architectures of an evolution anew whenever there are more. The evolution itself is that of SPOS, see `evolve`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from torch import Generator

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory
from supernet.estimators.constraint import ConstraintFactory
from supernet.searchers.evolution import check, evolve
from supernet.selection.ledger import Ledger, Objectives
from supernet.selection.scored import ScoredSelection


class ScoredEvolutionSelection(ScoredSelection):
    """The best of an evolution whose fitness is the score among all architectures so far.

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

    title = "evolution"

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
        super().__init__(Objectives(Path(folder), estimator, cost, constraint, workers), population * generations)
        self.evolve = functools.partial(
            evolve, population=population, generations=generations, survivors=survivors, mutation=mutation
        )

    def search(self, ledger: Ledger, generator: Generator) -> Iterable[Architecture]:
        """See `ScoredSelection.search`."""
        found = self.evolve(ledger.task.space, ledger.score, generator, accept=ledger.accept, rescore=ledger.refit)
        return [architecture for generation in found.generations for architecture, _ in generation]
