"""Selection by evolution: the architecture that is most accurate with the supernet's weights.

Guo, Zhang, Mu, Heng, Liu, Wei and Sun, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (SPOS),
2020, arXiv:1904.00420, sections 3.3 and 3.4, and its code.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from search_spaces.architecture import Architecture
from supernet.data.images import Images
from supernet.data.loading import Batch
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.estimators.one_shot import OneShot
from supernet.evaluation.progress import watched
from supernet.modules.search import SearchModule
from supernet.searchers.evolution import check, evolve
from supernet.searchers.history import comparable
from supernet.selection.base import ACCURACY, Selected, Selection, prepare, task_of
from supernet.selection.front import FRONT, Cheap

log = logging.getLogger("supernet")


class EvolutionarySelection(Selection):
    """The fittest of an evolution whose fitness is the accuracy on the held-out half of the training set.

    Args:
        population: see `evolve`, as the next three.
        generations: see there.
        survivors: see there.
        mutation: see there.
        recalibration_batches: how many training batches, augmented as in training, give each candidate its statistics
            of batch norm; fewer where the half has fewer.
        batches: how many batches of held-out images judge a candidate; None for all.
        folder: of the run, for the front of two objectives.
        cost: see `Objectives`, as the next one.
        constraint: see there.
    """

    respects_pool = True
    respects_constraint = True
    measures = (ACCURACY,)

    def __init__(
        self,
        population: int = 50,
        generations: int = 20,
        survivors: int = 10,
        mutation: float = 0.1,
        recalibration_batches: int = 200,
        batches: int | None = None,
        folder: str | Path = ".",
        cost: EstimatorFactory | None = None,
        constraint: ConstraintFactory | None = None,
    ) -> None:
        check(population, generations, survivors, mutation)
        for name, value in (("recalibration_batches", recalibration_batches), ("batches", batches)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        self.evolve = functools.partial(
            evolve, population=population, generations=generations, survivors=survivors, mutation=mutation
        )
        self.recalibration_batches = recalibration_batches
        self.batches = batches
        self.folder = Path(folder)
        self.cost = cost
        self.constraint = constraint

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        if self.cost is not None:
            Cheap(self.cost, task)
        accepting(self.constraint, task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        task = task_of(module, images)
        cheap = None if self.cost is None else Cheap(self.cost, task)
        train: Callable[[], Iterator[Batch]] = functools.partial(
            images.batches, "train", shuffle=True, augment=True, drop_last=True
        )
        valid: Callable[[], Iterator[Batch]] = functools.partial(images.batches, "valid", shuffle=True)
        estimator = OneShot(
            {"": module.discretized},
            lambda: itertools.islice(valid(), self.batches),
            lambda: itertools.islice(train(), self.recalibration_batches),
        )
        numbers = itertools.count(1)
        accuracies: dict[Architecture, float] = {}

        def score(architectures: Sequence[Architecture]) -> list[float]:
            for architecture in watched(architectures, f"generation {next(numbers)}"):
                accuracies[architecture] = float(estimator.score([architecture]))
            return [accuracies[architecture] for architecture in architectures]

        def fitness(architectures: Sequence[Architecture]) -> list[float]:
            assert cheap is not None
            return cheap.fitness(architectures, [accuracies[architecture] for architecture in architectures])

        accept = accepting(self.constraint, task)
        self.evolve(module.space, score, generator, accept=accept, rescore=None if cheap is None else fitness)
        best, accuracy = max(accuracies.items(), key=lambda pair: comparable(pair[1]))
        log.info(
            "the fittest of %d: %.2f %% of the held-out half with the supernet's weights",
            len(accuracies), 100 * accuracy,
        )  # fmt: skip
        pictures = {}
        if cheap is not None:
            pictures[FRONT] = cheap.write(self.folder, module.space, list(accuracies), list(accuracies.values()))
        return Selected(best, {ACCURACY: accuracy}, pictures)
