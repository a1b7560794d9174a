"""Operation pruning: on each edge the operations stay that a scored sample is best with.

The baseline of every shrinkage by architectures: it can keep no two good architectures without all that can be put
together of their operations.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.shrinkage.base import Round, Shrinkage, Shrunk, whole
from supernet.shrinkage.diversity import mean_distance
from supernet.shrinkage.drawn import acceptable, drawn
from supernet.shrinkage.scorer import Scorer
from supernet.warm_start.alphas import check_kappa, from_scores
from supernet.warm_start.architectures import counts
from supernet.warm_start.base import CUTTING
from supernet.warm_start.scoring import check_workers


class Operations(Shrinkage):
    """On each edge the ``keep`` operations stay whose architectures in a random sample have the highest mean score.

    Args:
        estimator: see `LISSNAS`, as the next two.
        folder: see there.
        n_archs: see there.
        keep: operations on each edge; one more where they would all give an output that ignores the input.
        constraint: see `LISSNAS`, as the next two; it holds for the sample, not for all that is left.
        channels: see there.
        workers: see there.
        kappa: how far the alphas start from the uniform mixture, see `from_scores`; 0 for the usual start.
    """

    leaves_pool: ClassVar[bool] = False

    def __init__(
        self,
        estimator: EstimatorFactory,
        folder: str | Path | None = None,
        n_archs: int = 1000,
        keep: int = 3,
        constraint: ConstraintFactory | None = None,
        channels: int | None = None,
        workers: int | None = None,
        kappa: float = 0.0,
    ) -> None:
        check_workers(workers)
        check_kappa(kappa)
        whole(n_archs=n_archs, keep=keep)
        self.estimator = estimator
        self.folder = None if folder is None else Path(folder)
        self.n_archs = n_archs
        self.keep = keep
        self.constraint = constraint
        self.channels = channels
        self.workers = workers
        self.kappa = kappa

    def check(self, task: Task) -> None:
        """See `Shrinkage.check`."""
        accepting(self.constraint, task)
        Scorer(self.estimator, task, self.channels, self.workers)

    def look(self, task: Task) -> Shrunk:
        """See `Shrinkage.look`."""
        space = task.space
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.SHRINKAGE))
        scorer = Scorer(self.estimator, task, self.channels, self.workers, self.folder)
        sample = drawn(space, self.n_archs, acceptable(task, self.constraint), generator)
        scorer.ask(sample, "shrinkage")
        values = scorer.scores(sample)
        known = [one for one, finite in zip(sample, values.isfinite().tolist(), strict=True) if finite]
        values = values[values.isfinite()]
        if not known:
            raise ValueError("not one of the architectures that were drawn has a finite score; use another estimator")
        totals = {
            cell: torch.stack(
                [
                    value * one.one_hot(space.operations, torch.float64)[cell]
                    for one, value in zip(known, values, strict=True)
                ]
            ).sum(dim=0)
            for cell in space.edges
        }
        means = {cell: totals[cell] / count for cell, count in counts(space, known).items()}  # NaN without any
        smaller = space.restrict({cell: strongest(space, cell, table, self.keep) for cell, table in means.items()})
        start = from_scores(means, smaller, self.kappa) if self.kappa else None
        took = Round(space.size(), float(values.mean()), float(values.max()), mean_distance(space), scorer.queries)
        return Shrunk(smaller, means, start, scorer.effort, rounds=(took,))


def strongest(space: SearchSpace, cell: str, scores: Tensor, keep: int) -> Tensor:
    """The table ``(edges, operations)`` that leaves the ``keep`` best-scored candidates of each edge.

    An edge whose best all ignore their input keeps the best that passes it on, too. Operations without a score go
    last; those that no architecture may choose stay.
    """
    candidates = space.candidates(cell)
    ranked = scores.nan_to_num(nan=-torch.inf).masked_fill(~candidates, -torch.inf)
    best = ranked.argsort(dim=1, descending=True, stable=True)[:, :keep]
    left = torch.zeros_like(candidates).scatter(1, best, True) & candidates
    passing = candidates & torch.tensor([name not in CUTTING for name in space.operations[cell]])
    for edge in range(len(candidates)):
        if not bool((left[edge] & passing[edge]).any()) and bool(passing[edge].any()):
            left[edge, ranked[edge].masked_fill(~passing[edge], -torch.inf).argmax()] = True
        if not bool(left[edge].any()):  # none of its candidates was ranked
            left[edge] = candidates[edge]
    return left | (space.allowed[cell] & ~candidates)
