"""Operations scored by the architectures they stand in: a balanced design, a score, a regression.

What an operation is worth is its main effect: by how much architectures score better with it on an edge than with the
edge's other operations, whatever stands on the other edges.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from supernet import seeds
from supernet.estimators.base import EstimatorFactory, Task
from supernet.warm_start.base import Effort, contested
from supernet.warm_start.design import balanced
from supernet.warm_start.filters import OperationFilter
from supernet.warm_start.regression import effects, normal_scores
from supernet.warm_start.scoring import check_channels, check_estimator, check_workers, scored, thin

log = logging.getLogger("supernet")
PER_PAIR = 5  # architectures for each pair of an edge and an operation: 150 on NAS-Bench-201


class Insertion(OperationFilter):
    """Scores some architectures with an estimator and gives each operation its main effect on the normal scores.

    Args:
        estimator: what scores architectures.
        n_archs: how many; None for five for each operation of an edge that has several, which is 150 on NAS-Bench-201.
            With fewer than the edges have operations to choose from, effects are not told apart.
        channels: of the networks that are looked at, which are as short as the space allows; None for the space's own
            networks.
        workers: the most processes; None for all cores.
        drop: see `OperationFilter`, as all that follow.
        min_ops: see there.
        protected: see there.
        drop_unchosen: see there.
        kappa: see there.
        folder: of the run, where measurements are written as they come; None for nowhere.
    """

    def __init__(
        self,
        estimator: EstimatorFactory,
        n_archs: int | None = None,
        channels: int | None = 16,
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
        if n_archs is not None and (not isinstance(n_archs, int) or n_archs < 2):
            raise ValueError(f"n_archs is {n_archs}: it must be a whole number, at least 2, or null")
        self.estimator = estimator
        self.n_archs = n_archs
        self.channels = channels
        self.workers = workers
        self.folder = None if folder is None else Path(folder)

    def check(self, task: Task) -> None:
        """See `WarmStart.check`."""
        super().check(task)
        check_estimator(self.estimator, replace(task, space=thin(task.space, self.channels)))
        most = max(int(task.space.candidates(cell).sum(dim=1).max()) for cell in task.space.edges)
        if self.n_archs is not None and self.n_archs < most:
            raise ValueError(
                f"n_archs is {self.n_archs}, but there are edges with {most} operations, each of which must be seen"
            )

    def scores(self, task: Task) -> tuple[dict[str, Tensor], Effort]:
        """See `OperationFilter.scores`."""
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.WARM_START))
        pairs = [contested(task.space, cell) for cell in task.space.edges]
        design = balanced(task.space, self.n_archs or PER_PAIR * sum(int(table.sum()) for table in pairs), generator)
        free = sum(int(table.sum()) - int(table.any(dim=1).sum()) for table in pairs)
        if len(design) <= free:
            log.warning("%d architectures cannot tell %d effects of operations apart; use a larger n_archs, or null",
                        len(design), free)  # fmt: skip
        values, effort = scored(
            self.estimator, replace(task, space=thin(task.space, self.channels)), design, self.workers, self.folder
        )
        return effects(task.space, design, normal_scores(values)), effort
