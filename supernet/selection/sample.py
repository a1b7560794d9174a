"""The best-scored of a random sample: the plainest search without training.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training" (NASWOT), 2021, arXiv:2006.04647,
search so, for N of 10, 100 and 1000; any estimator will do.
"""

from __future__ import annotations

import math
from pathlib import Path

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.evaluation.choosing import LISTED, drawn
from supernet.evaluation.scoring import one_by_one, together
from supernet.modules.search import SearchModule
from supernet.selection.base import SCORE, Selected, Selection, at_least, prepare, task_of


class Sample:
    """Different valid architectures, drawn at random and scored; ``scores.csv`` in a folder has them all.

    Args:
        folder: of the run; what it has scored already is not scored again.
        estimator: scores the architectures.
        n_archs: how many; all, where the space has fewer.
        workers: the most processes; None for as many as are faster than one.
    """

    def __init__(self, folder: str | Path, estimator: EstimatorFactory, n_archs: int, workers: int | None) -> None:
        at_least(1, n_archs=n_archs)
        if workers is not None:
            at_least(0, workers=workers)
        self.folder = Path(folder)
        self.estimator = estimator
        self.n_archs = n_archs
        self.workers = workers

    def ranked(self, task: Task) -> list[tuple[Architecture, float]]:
        """The architectures with their scores, the best first, of equals the one drawn first."""
        architectures = valid_sample(task.space, self.n_archs, seeds.derive(task.seed, seeds.SELECTION))
        estimator = self.estimator(task)
        if isinstance(estimator, Measured):
            scores, _ = one_by_one(self.estimator, estimator, task, architectures, self.folder, self.workers)
        else:
            scores, _ = together(estimator, task, architectures, self.folder)
        pairs = zip(architectures, scores, strict=True)
        return sorted(pairs, key=lambda pair: math.inf if math.isnan(pair[1]) else -pair[1])


class SampleSelection(Selection):
    """Returns the architecture with the highest score.

    Args:
        folder: see `Sample`, as all that follow.
        estimator: see there.
        n_archs: see there.
        workers: see there.
    """

    respects_pool = True
    needs_training = False
    measures = (SCORE,)

    def __init__(
        self, folder: str | Path, estimator: EstimatorFactory, n_archs: int = 1000, workers: int | None = None
    ) -> None:
        self.sample = Sample(folder, estimator, n_archs, workers)

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.sample.estimator(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        prepare(module, images)
        best, score = self.sample.ranked(task_of(module, images))[0]
        return Selected(best, {SCORE: score})


def valid_sample(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """So many different valid architectures, every set of them equally likely; all where there are no more.

    Raises ValueError where there is none.
    """
    if space.size() <= LISTED:
        count = min(count, sum(map(space.is_valid, space.enumerate())))
    if not count:
        raise ValueError(f"{space.name} has no architecture left whose output depends on its input")
    return drawn(count, space, seed, space.is_valid)
