"""Evolution by a score that needs no training, even one that ranks architectures among each other.

Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", 2024, arXiv:2403.19232, rank all
architectures of an evolution anew whenever there are more. The evolution itself is that of SPOS, see `evolve`.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch

from search_spaces.architecture import Architecture
from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Task
from supernet.evaluation.measuring import measured
from supernet.evaluation.scores import Measurement, Scores, columns
from supernet.modules.search import SearchModule
from supernet.searchers.evolution import check, evolve
from supernet.selection.base import SCORE, SCORES, Selected, Selection, at_least, bar, prepare, task_of
from supernet.warm_start.scoring import check_estimator

log = logging.getLogger("supernet")


class ScoredEvolutionSelection(Selection):
    """The fittest of an evolution whose fitness is the score among all architectures so far.

    ``scores.csv`` has a line for each architecture as soon as it is measured; a resumed search measures none of them
    again.

    Args:
        folder: of the run.
        estimator: what is the fitness; it must be `Measured`.
        population: see `evolve`, as the next three.
        generations: see there.
        survivors: see there.
        mutation: see there.
        workers: the most processes; None for as many as are faster than one.
    """

    respects_pool = True
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
        workers: int | None = None,
    ) -> None:
        check(population, generations, survivors, mutation)
        if workers is not None:
            at_least(0, workers=workers)
        self.folder = Path(folder)
        self.estimator = estimator
        self.evolve = functools.partial(
            evolve, population=population, generations=generations, survivors=survivors, mutation=mutation
        )
        self.workers = workers

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        check_estimator(self.estimator, task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        task = task_of(module, images)
        estimator = check_estimator(self.estimator, task)
        file = Scores(self.folder / SCORES, columns(estimator))
        known = file.read()
        space, numbers = task.space, itertools.count(1)

        def measure(architectures: Sequence[Architecture]) -> None:
            texts = [space.format(architecture) for architecture in architectures]
            new = [(i, one) for i, one in enumerate(architectures) if texts[i] not in known]
            found = measured(self.estimator, estimator, task, new, self.workers)
            with file, closing(found), bar(len(new), f"generation {next(numbers)}") as advance:
                for index, measurement in found:
                    known[texts[index]] = measurement
                    file.append(texts[index], measurement)
                    advance()

        def score(architectures: Sequence[Architecture]) -> list[float]:
            rows = [known[space.format(architecture)].values for architecture in architectures]
            found: list[float] = estimator.combine(torch.tensor(rows, dtype=torch.float64)).tolist()
            return found

        def measure_and_score(architectures: Sequence[Architecture]) -> list[float]:
            measure(architectures)
            return score(architectures)

        evolution = self.evolve(space, measure_and_score, generator, rescore=score)
        history = [pair for generation in evolution.generations for pair in generation]
        texts = [space.format(architecture) for architecture, _ in history]
        results: list[Measurement] = [known[text] for text in texts]
        file.finish(texts, results, [value for _, value in history])
        (best, value), *_ = evolution.fittest(1)
        log.info("the fittest of %d scores %.5g", len(history), value)
        return Selected(best, {SCORE: value})
