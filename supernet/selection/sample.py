"""The best-scored of a random sample: the plainest search without training.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training" (NASWOT), 2021, arXiv:2006.04647,
search so, for N of 10, 100 and 1000; any estimator will do.
"""

from __future__ import annotations

from pathlib import Path

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.data.images import Images
from supernet.errors import UserError
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.evaluation.choosing import LISTED, drawn
from supernet.evaluation.scoring import one_by_one, together
from supernet.modules.search import SearchModule
from supernet.searchers.history import Accept, comparable
from supernet.selection.base import SCORE, Selected, Selection, at_least, prepare, require_finite, task_of
from supernet.selection.front import FRONT, Cheap


class Sample:
    """Different valid architectures, drawn at random and scored; ``scores.csv`` in a folder has them all.

    Args:
        folder: of the run; what it has scored already is not scored again.
        estimator: scores the architectures.
        n_archs: how many; all, where the space has fewer.
        workers: the most processes; None for as many as are faster than one.
        constraint: on what is drawn; None for none.
    """

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        n_archs: int,
        workers: int | None,
        constraint: ConstraintFactory | None = None,
    ) -> None:
        at_least(1, n_archs=n_archs)
        if workers is not None:
            at_least(0, workers=workers)
        self.folder = Path(folder)
        self.estimator = estimator
        self.n_archs = n_archs
        self.workers = workers
        self.constraint = constraint

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.estimator(task)
        accepting(self.constraint, task)

    def ranked(self, task: Task) -> list[tuple[Architecture, float]]:
        """The architectures with their scores, the best first, of equals the one drawn first.

        Raises `UserError` where no score is finite.
        """
        accept = accepting(self.constraint, task)
        architectures = valid_sample(task.space, self.n_archs, seeds.derive(task.seed, seeds.SELECTION), accept)
        estimator = self.estimator(task)
        if isinstance(estimator, Measured):
            scores, _ = one_by_one(self.estimator, estimator, task, architectures, self.folder, self.workers)
        else:
            scores, _ = together(estimator, task, architectures, self.folder)
        require_finite(scores)
        pairs = zip(architectures, scores, strict=True)
        return sorted(pairs, key=lambda pair: -comparable(pair[1]))


class SampleSelection(Selection):
    """Returns the architecture with the highest score.

    Args:
        folder: see `Sample`, as the next three.
        estimator: see there.
        n_archs: see there.
        workers: see there.
        cost: see `Objectives`; the front of both objectives is drawn.
        constraint: see `Sample`.
    """

    respects_pool = True
    respects_constraint = True
    needs_training = False
    measures = (SCORE,)

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        n_archs: int = 1000,
        workers: int | None = None,
        cost: EstimatorFactory | None = None,
        constraint: ConstraintFactory | None = None,
    ) -> None:
        self.sample = Sample(folder, estimator, n_archs, workers, constraint)
        self.cost = cost

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.sample.check(task)
        if self.cost is not None:
            Cheap(self.cost, task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        prepare(module, images)
        task = task_of(module, images)
        ranked = self.sample.ranked(task)
        pictures = {}
        if self.cost is not None:
            architectures, scores = zip(*ranked, strict=True)
            pictures[FRONT] = Cheap(self.cost, task).write(self.sample.folder, task.space, architectures, scores)
        best, score = ranked[0]
        return Selected(best, {SCORE: score}, pictures)


def valid_sample(space: SearchSpace, count: int, seed: int, accept: Accept | None = None) -> list[Architecture]:
    """So many different valid architectures, every set of them equally likely; all where there are no more.

    Raises `UserError` where there is none.

    Args:
        space: what they belong to.
        count: how many.
        seed: determines which.
        accept: a constraint on them; None for none.
    """

    def fits(architecture: Architecture) -> bool:
        return space.is_valid(architecture) and (accept is None or accept(architecture))

    if space.size() <= LISTED:
        count = min(count, sum(map(fits, space.enumerate())))
    if not count:
        what = "whose output depends on its input" + ("" if accept is None else " and that satisfies the constraint")
        raise UserError(f"{space.name} has no architecture left {what}")
    return drawn(count, space, seed, fits)
