"""Operations scored by what a supernet loses without them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from scipy import stats
from torch import Tensor

from search_spaces.architecture import DROPPED, Architecture
from supernet import seeds
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.supernets import Mixed, uniform
from supernet.samples import Samples
from supernet.warm_start.base import Effort, contested
from supernet.warm_start.filters import OperationFilter
from supernet.warm_start.scoring import check_channels, check_workers, scored, thin


class Removal(OperationFilter):
    """``A(supernet) - A(supernet without the operation)``, under the uniform mixture; ranks averaged over seeds.

    Weights, images and noise differ from seed to seed. Without an operation, an edge mixes the others alike. A score is
    the mean rank among the operations of the cell type, as a share: 1 is the one that is missed most.

    Args:
        estimator: A, a training-free score.
        n_seeds: over how many seeds ranks are averaged; with one the best architectures are often lost.
        channels: of the supernet, which is as short as the space allows; None for the space's own supernet.
        workers: the most processes; None for all cores.
        drop: see `OperationFilter`, as all that follow.
        min_ops: see there.
        protected: see there.
        drop_unchosen: see there.
        kappa: see there.
        folder: see `Insertion`; what is named there is taken away.
    """

    def __init__(
        self,
        estimator: EstimatorFactory,
        n_seeds: int = 5,
        channels: int | None = 8,
        workers: int | None = None,
        drop: float = 1 / 3,
        min_ops: int = 2,
        protected: Sequence[str] = (),
        drop_unchosen: bool = False,
        kappa: float = 0.0,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__(drop, min_ops, protected, drop_unchosen, kappa)
        check_workers(workers)
        check_channels(channels)
        if not isinstance(n_seeds, int) or n_seeds < 1:
            raise ValueError(f"n_seeds is {n_seeds}: it must be a whole number, at least 1")
        self.estimator = estimator
        self.n_seeds = n_seeds
        self.channels = channels
        self.workers = workers
        self.folder = None if folder is None else Path(folder)

    def check(self, task: Task) -> None:
        """See `WarmStart.check`."""
        super().check(task)
        estimator = self.estimator(replace(task, space=thin(task.space, self.channels)))
        if not isinstance(estimator, Proxy):
            raise ValueError(f"{type(estimator).__name__} cannot look at a supernet; choose a training-free score")

    def scores(self, task: Task) -> tuple[dict[str, Tensor], Effort]:
        """See `OperationFilter.scores`."""
        space = thin(task.space, self.channels)
        whole = Architecture.of({cell: [DROPPED] * len(edges) for cell, edges in space.edges.items()})
        pairs = {cell: contested(space, cell).nonzero().tolist() for cell in space.edges}
        without = [whole.replace(cell, edge, operation) for cell in pairs for edge, operation in pairs[cell]]
        factory = functools.partial(Without, factory=self.estimator)
        losses, total = [], Effort()
        for number in range(self.n_seeds):
            here = reseeded(replace(task, space=space), number)
            scores, effort = scored(
                factory, here, [whole, *without], self.workers, self.folder, f"seed {number}, without "
            )
            if not bool(scores[0].isfinite()):
                raise ValueError("the whole supernet has no finite score; use another estimator, or another seed")
            losses.append((scores[0] - scores[1:]).split([len(pairs[cell]) for cell in pairs]))
            total += effort
        found = {}
        for cell, columns in zip(pairs, zip(*losses, strict=True), strict=True):
            found[cell] = torch.full(space.allowed[cell].shape, torch.nan, dtype=torch.float64)
            for (edge, operation), rank in zip(pairs[cell], mean_ranks(torch.stack(columns)), strict=True):
                found[cell][edge, operation] = rank
        return found, total


def mean_ranks(losses: Tensor) -> Tensor:
    """The mean over seeds of the rank's share, ``(pairs,)`` from ``(seeds, pairs)``; what is no number ranks lowest."""
    ordered = losses.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return torch.from_numpy(stats.rankdata(ordered.numpy(), axis=1)).mean(dim=0) / max(1, losses.shape[1])


class Without(Measured):
    """What a proxy says of the supernet without some operations, which are given as if they were an architecture's.

    Args:
        task: the space whose supernet it is.
        factory: gives the proxy.
    """

    def __init__(self, task: Task, factory: EstimatorFactory) -> None:
        proxy = factory(task)
        assert isinstance(proxy, Proxy)
        self.space = task.space
        self.proxy = proxy
        self.names = proxy.names

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        taken = architecture.allowed(self.space.operations)
        left = {cell: table & ~taken[cell] for cell, table in self.space.allowed.items()}
        return self.proxy.average(lambda: Mixed(self.space.supernet(), uniform(left)))

    def combine(self, measurements: Tensor) -> Tensor:
        """See `Measured.combine`."""
        return self.proxy.combine(measurements)


def reseeded(task: Task, number: int) -> Task:
    """The task with another seed for weights, noise and the choice of images."""
    seed, old = seeds.derive(task.seed, seeds.WARM_START, number), task.samples
    return replace(task, seed=seed, samples=Samples(old.labels, old.load, old.image, old.num_classes, seed))
