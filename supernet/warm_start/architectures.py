"""Warm starts that keep architectures: the best of a scored sample, as a list, or as what they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Generator, Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.estimators.base import EstimatorFactory, Task
from supernet.warm_start.base import Effort, Outcome, WarmStart
from supernet.warm_start.filters import OperationFilter
from supernet.warm_start.scoring import check_channels, check_estimator, check_workers, scored, thin

DRAWS = 50  # for each architecture wanted, until enough different valid ones are found


class Sample:
    """A scored random sample of valid architectures, and the best of it.

    Args:
        estimator: what scores architectures.
        n_archs: how many different ones are drawn; fewer where the space has not so many.
        keep: the share that is kept.
        channels: see `Insertion`, as the next two.
        workers: see there.
        folder: see there.
    """

    def __init__(
        self,
        estimator: EstimatorFactory,
        n_archs: int,
        keep: float,
        channels: int | None,
        workers: int | None,
        folder: str | Path | None = None,
    ) -> None:
        check_workers(workers)
        check_channels(channels)
        if not isinstance(n_archs, int) or n_archs < 2:
            raise ValueError(f"n_archs is {n_archs}: it must be a whole number, at least 2")
        if not 0 < keep <= 1:
            raise ValueError(f"keep is {keep}: it must be above 0 and at most 1")
        self.estimator = estimator
        self.n_archs = n_archs
        self.keep = keep
        self.channels = channels
        self.workers = workers
        self.folder = None if folder is None else Path(folder)

    def check(self, task: Task) -> None:
        """See `WarmStart.check`."""
        check_estimator(self.estimator, replace(task, space=thin(task.space, self.channels)))

    def best(self, task: Task) -> tuple[list[Architecture], Effort]:
        """The share with the highest scores, the best first, at least one."""
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.WARM_START))
        sample = list(different(task.space, self.n_archs, generator))
        if not sample:
            raise ValueError(f"no valid architecture of {task.space.name} was found")
        small = replace(task, space=thin(task.space, self.channels))
        values, effort = scored(self.estimator, small, sample, self.workers, self.folder)
        order = values.nan_to_num(nan=-torch.inf).argsort(descending=True, stable=True)
        return [sample[index] for index in order[: max(1, round(self.keep * len(sample)))].tolist()], effort


def different(space: SearchSpace, count: int, generator: Generator) -> dict[Architecture, None]:
    """So many valid architectures by chance, each once; all of them where there are not more."""
    if space.size() <= count:
        return dict.fromkeys(filter(space.is_valid, space.enumerate()))
    drawn: dict[Architecture, None] = {}
    for _ in range(DRAWS * count):
        if len(drawn) == count:
            break
        (architecture,) = space.sample(1, generator)
        if space.is_valid(architecture):
            drawn[architecture] = None
    return drawn


class Frequencies(OperationFilter):
    """How often the best architectures have an operation on an edge says where the alphas start.

    ``f[e, o] = (count[e, o] + smoothing) / (count[e] + smoothing * operations)``, where an edge's count is that of
    architectures that keep it; the alphas start at logits ``kappa log f``, at most half the way to the frequencies. A
    score is ``log (f * operations)``, which is zero for what is neither preferred nor avoided.

    Args:
        estimator: see `Sample`, as the next four.
        n_archs: see there.
        keep: see there.
        channels: see there.
        workers: see there.
        smoothing: added to each count.
        drop: see `OperationFilter`, as all that follow.
        min_ops: see there.
        protected: see there.
        drop_unchosen: see there.
        kappa: the power of the frequencies.
        folder: see `Sample`.
    """

    def __init__(
        self,
        estimator: EstimatorFactory,
        n_archs: int = 300,
        keep: float = 0.1,
        channels: int | None = 16,
        workers: int | None = None,
        smoothing: float = 1.0,
        drop: float = 0.0,
        min_ops: int = 2,
        protected: Sequence[str] = (),
        drop_unchosen: bool = False,
        kappa: float = 0.5,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__(drop, min_ops, protected, drop_unchosen, kappa)
        if not smoothing > 0:
            raise ValueError(f"smoothing is {smoothing}: it must be positive, so that nothing is ruled out by chance")
        self.sample = Sample(estimator, n_archs, keep, channels, workers, folder)
        self.smoothing = smoothing

    def check(self, task: Task) -> None:
        """See `WarmStart.check`."""
        super().check(task)
        self.sample.check(task)

    def scores(self, task: Task) -> tuple[dict[str, Tensor], Effort]:
        """See `OperationFilter.scores`."""
        best, effort = self.sample.best(task)
        return log_frequencies(task.space, best, self.smoothing), effort

    def start(self, scores: Mapping[str, Tensor], space: SearchSpace) -> dict[str, Tensor]:
        """See `OperationFilter.start`."""
        logits = {}
        for cell, table in scores.items():
            left = table.masked_fill(~space.candidates(cell), torch.nan)
            logits[cell] = (self.kappa * (left - left.nanmean(dim=1, keepdim=True))).nan_to_num(nan=0.0)
        return logits


class Pool(WarmStart):
    """The best architectures are the only ones left, and the supernet has no operation that none of them has.

    A search by alphas ends with the one of them that its mixture is nearest to, see `SearchSpace.decode`.

    Args:
        estimator: see `Sample`, as all that follow.
        n_archs: see there.
        keep: see there.
        channels: see there.
        workers: see there.
        folder: see there.
    """

    leaves_pool = True

    def __init__(
        self,
        estimator: EstimatorFactory,
        n_archs: int = 1000,
        keep: float = 0.5,
        channels: int | None = 16,
        workers: int | None = None,
        folder: str | Path | None = None,
    ) -> None:
        self.sample = Sample(estimator, n_archs, keep, channels, workers, folder)

    def check(self, task: Task) -> None:
        """See `WarmStart.check`."""
        self.sample.check(task)

    def look(self, task: Task) -> Outcome:
        """See `WarmStart.look`."""
        best, effort = self.sample.best(task)
        return Outcome(pooled(task.space, best), effort=effort)


def pooled(space: SearchSpace, architectures: Sequence[Architecture]) -> SearchSpace:
    """The space with these architectures alone, whose supernet has no operation that none of them has.

    Operations that no architecture may choose stay.
    """
    allowed = {}
    for cell, used in counts(space, architectures).items():
        unused = ~(used > 0).any(dim=1, keepdim=True)  # an edge that none keeps
        allowed[cell] = space.allowed[cell] & ((used > 0) | unused | ~space.candidates(cell))
    return space.restrict(allowed, architectures)


def counts(space: SearchSpace, architectures: Sequence[Architecture]) -> dict[str, Tensor]:
    """How many of the architectures have an operation on an edge ``(edges, operations)``, in float64."""
    tables = [architecture.one_hot(space.operations, torch.float64) for architecture in architectures]
    return {cell: torch.stack([table[cell] for table in tables]).sum(dim=0) for cell in space.edges}


def log_frequencies(
    space: SearchSpace, architectures: Sequence[Architecture], smoothing: float = 1.0
) -> dict[str, Tensor]:
    """``log (f * operations)``, see `Frequencies`; NaN where an architecture has no choice."""
    found = {}
    for cell, count in counts(space, architectures).items():
        candidates = space.candidates(cell)
        options = candidates.sum(dim=1, keepdim=True)
        frequencies = (count + smoothing) / (count.sum(dim=1, keepdim=True) + smoothing * options)
        found[cell] = (frequencies * options).log().masked_fill(~candidates, torch.nan)
    return found
