"""Selection by evolution: the architecture that is most accurate with the supernet's weights.

Guo, Zhang, Mu, Heng, Liu, Wei and Sun, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (SPOS),
2020, arXiv:1904.00420, sections 3.3 and 3.4, and its code.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence

from search_spaces.architecture import Architecture
from supernet.data.images import Images
from supernet.data.loading import Batch
from supernet.estimators.one_shot import OneShotAccuracy
from supernet.modules.search import SearchModule
from supernet.searchers.evolution import check, evolve
from supernet.selection.base import ACCURACY, Selected, Selection, prepare, watched

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
    """

    respects_pool = True
    measures = (ACCURACY,)

    def __init__(
        self,
        population: int = 50,
        generations: int = 20,
        survivors: int = 10,
        mutation: float = 0.1,
        recalibration_batches: int = 200,
        batches: int | None = None,
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

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        train: Callable[[], Iterator[Batch]] = functools.partial(
            images.batches, "train", shuffle=True, augment=True, drop_last=True
        )
        valid: Callable[[], Iterator[Batch]] = functools.partial(images.batches, "valid", shuffle=True)
        estimator = OneShotAccuracy(
            module.discretized,
            lambda: itertools.islice(train(), self.recalibration_batches),
            lambda: itertools.islice(valid(), self.batches),
        )
        numbers = itertools.count(1)

        def score(architectures: Sequence[Architecture]) -> list[float]:
            bar = watched(architectures, f"generation {next(numbers)}")
            return [float(estimator.score([architecture])) for architecture in bar]

        evolution = self.evolve(module.space, score, generator)
        count = sum(len(generation) for generation in evolution.generations)
        (best, accuracy), *_ = evolution.fittest(1)
        log.info("the fittest of %d: %.2f %% of the held-out half with the supernet's weights", count, 100 * accuracy)
        return Selected(best, {ACCURACY: accuracy})
