"""Selection guided by a predictor that learns from what the search scores (Wen et al., 2020, arXiv:1912.00848)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Generator

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory
from supernet.estimators.features.base import Features, FeaturesFactory
from supernet.estimators.features.remembered import Remembered
from supernet.estimators.predictors.base import PredictorFactory
from supernet.evaluation.measuring import one_thread
from supernet.searchers.history import Score
from supernet.searchers.predictor_guided import Fit, predictor_guided
from supernet.selection.base import at_least
from supernet.selection.ledger import Ledger, Objectives
from supernet.selection.scored import ScoredSelection

FEW = 4  # architectures that show whether a model knows how sure it is


class PredictorGuidedSelection(ScoredSelection):
    """The best of what a predictor proposed.

    Args:
        folder: see `Objectives`, as the next one.
        estimator: see there; worth its while where it is far slower than the predictor.
        features: what the model looks at; an empty mapping for nothing but the cells.
        model: the predictor.
        budget: see `predictor_guided`, as the next four.
        initial: see there.
        top: see there.
        candidates: see there.
        parents: see there.
        kappa: how many deviations of the prediction are added to it: what is unsure is promising (an upper confidence
            bound); needs a model that knows how sure it is, unless 0.
        cost: see `Objectives`, as all that follow.
        constraint: see there.
        workers: see there.
    """

    title = "predictor-guided search"

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        features: FeaturesFactory | Mapping[str, Any] | None,
        model: PredictorFactory,
        budget: int = 150,
        initial: int = 20,
        top: int = 10,
        candidates: int = 1000,
        parents: int = 10,
        kappa: float = 0.0,
        cost: EstimatorFactory | None = None,
        constraint: ConstraintFactory | None = None,
        workers: int | None = None,
    ) -> None:
        at_least(2, initial=initial)
        at_least(1, budget=budget, top=top)
        at_least(0, candidates=candidates, parents=parents)
        if not kappa >= 0:
            raise ValueError(f"kappa is {kappa}: it must be at least 0")
        super().__init__(Objectives(Path(folder), estimator, cost, constraint, workers), budget)
        self.features = features
        self.model = model
        self.kappa = kappa
        self.propose = functools.partial(
            predictor_guided, budget=budget, initial=initial, top=top, candidates=candidates, parents=parents
        )

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        super().check(task)
        predictor = self.model(task, self.features(task) if callable(self.features) else None)
        if self.kappa:
            few = task.space.sample(FEW, Generator().manual_seed(0))
            if predictor.fit(few, [float(number) for number in range(FEW)]).deviation(few) is None:
                raise UserError(
                    f"selection.kappa={self.kappa}: {type(predictor).__name__} does not know how sure it is; use "
                    "model@selection.model=forest, or selection.kappa=0"
                )

    def search(self, ledger: Ledger, generator: Generator) -> Iterable[Architecture]:
        """See `ScoredSelection.search`."""
        task = ledger.task
        prefer = None if ledger.cheap is None else ledger.cheap.fitness
        history = self.propose(
            task.space, ledger.score, generator, self.fit(task), accept=ledger.accept, rescore=ledger.rescore,
            prefer=prefer,
        )  # fmt: skip
        return history.scores

    def fit(self, task: Task) -> Fit:
        """What fits a fresh model on scores, and predicts with it."""
        features: Features | None = Remembered(self.features(task)) if callable(self.features) else None

        def fitted(architectures: Sequence[Architecture], scores: Sequence[float]) -> Score:
            with one_thread():
                predictor = self.model(task, features).fit(architectures, scores)

            def promise(candidates: Sequence[Architecture]) -> list[float]:
                with one_thread():
                    found = predictor.score(candidates)
                    deviation = predictor.deviation(candidates) if self.kappa else None
                    if deviation is not None:
                        found = found + self.kappa * deviation
                    values: list[float] = found.tolist()
                return values

            return promise

        return fitted
