"""KNAS: what scores best at initialisation is trained briefly, and the most accurate network wins.

Xu, Zhao, Lin, Gao, Sun and Yang, "KNAS: Green Neural Architecture Search", 2021, arXiv:2111.13293. The published search
looks the accuracies of the survivors up in a table, after 20 epochs of its training; here they are trained.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path

from torch.optim.lr_scheduler import LRScheduler

from search_spaces.architecture import Architecture
from supernet import seeds
from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory
from supernet.evaluation.progress import watched
from supernet.modules.search import SearchModule
from supernet.selection.base import (
    ACCURACY,
    CANDIDATES,
    SCORE,
    Selected,
    Selection,
    at_least,
    prepare,
    task_of,
)
from supernet.selection.journal import Journal
from supernet.selection.sample import Sample
from supernet.selection.training import brief_accuracy

log = logging.getLogger("supernet")


class ShortTrainingSelection(Selection):
    """Scores a sample, trains the best of it on the training half and returns what is best on the held-out half.

    The networks are the space's own, with the search's optimizer of the weights and its clipping; each begins with the
    same seed and sees the same batches. ``candidates.csv`` has a line for each as soon as it is trained, and a resumed
    search goes on after the last of them.

    Args:
        folder: see `Sample`, as the next three.
        estimator: see there.
        scheduler: called with the optimizer of a network.
        n_archs: see `Sample`.
        keep: how many are trained.
        epochs: for how long.
        workers: see `Sample`, as the next one.
        constraint: see there.
    """

    respects_pool = True
    respects_constraint = True
    needs_training = False
    measures = (ACCURACY, SCORE)

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        scheduler: Callable[..., LRScheduler],
        n_archs: int = 300,
        keep: int = 40,
        epochs: int = 20,
        workers: int | None = None,
        constraint: ConstraintFactory | None = None,
    ) -> None:
        at_least(1, keep=keep, epochs=epochs)
        self.sample = Sample(folder, estimator, n_archs, workers, constraint)
        self.scheduler = scheduler
        self.keep = keep
        self.epochs = epochs

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.sample.check(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        prepare(module, images)
        images.loader("train", drop_last=True)  # refuses a batch that is larger than the half
        survivors = self.sample.ranked(task_of(module, images))[: self.keep]
        journal = Journal(self.sample.folder / CANDIDATES, ("arch",), ("score", "accuracy"))
        accuracies = []
        for number, (architecture, score) in enumerate(watched(survivors, "training the survivors"), start=1):
            text = module.space.format(architecture)
            _, found = journal((text,), functools.partial(self._measure, architecture, score, module, images))
            log.info("%d of %d: %.2f %% after %d epochs, %s", number, len(survivors), 100 * found, self.epochs, text)
            accuracies.append(found)
        best = accuracies.index(max(accuracies))
        architecture, score = survivors[best]
        return Selected(architecture, {ACCURACY: accuracies[best], SCORE: score})

    def _measure(
        self, architecture: Architecture, score: float, module: SearchModule, images: Images
    ) -> tuple[float, float]:
        seed = seeds.derive(module.seed, seeds.SELECTION)
        found = brief_accuracy(
            module.space, architecture, images, module.weight_optimizer, self.scheduler, self.epochs, module.clip, seed
        )
        return score, found
