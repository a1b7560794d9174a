"""Shrinkages without a score: by chance, and one architecture for each function."""

from __future__ import annotations

import torch

from search_spaces.architecture import Architecture
from supernet import seeds
from supernet.estimators.base import Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.evaluation.choosing import LISTED
from supernet.shrinkage.base import Shrinkage, Shrunk, kept, whole
from supernet.shrinkage.drawn import acceptable, drawn
from supernet.warm_start.alphas import check_kappa


class Random(Shrinkage):
    """The control: as many architectures, drawn at random.

    Args:
        size: how many stay; all, where the space has no more.
        constraint: see `LISSNAS`, as the next one.
        kappa: see there.
    """

    def __init__(self, size: int = 500, constraint: ConstraintFactory | None = None, kappa: float = 0.0) -> None:
        whole(size=size)
        check_kappa(kappa)
        self.size = size
        self.constraint = constraint
        self.kappa = kappa

    def check(self, task: Task) -> None:
        """See `Shrinkage.check`."""
        accepting(self.constraint, task)

    def look(self, task: Task) -> Shrunk:
        """See `Shrinkage.look`."""
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.SHRINKAGE))
        return kept(task.space, drawn(task.space, self.size, acceptable(task, self.constraint), generator), self.kappa)


class DeIsomorphic(Shrinkage):
    """One architecture, drawn at random, of each class that computes the same function (`SearchSpace.canonical`).

    A single path supernet that draws from this pool trains every function equally often, which improves its ranking
    (Ning, Tang, Li, Zhou, Liang, Yang and Wang, "Evaluating Efficient Performance Estimators of Neural Architectures",
    2021, arXiv:2008.03064). Their classes are those of NAS-Bench-201's published rule; these are the space's own.

    Args:
        constraint: see `LISSNAS`, as the next one.
        kappa: see there.
    """

    def __init__(self, constraint: ConstraintFactory | None = None, kappa: float = 0.0) -> None:
        check_kappa(kappa)
        self.constraint = constraint
        self.kappa = kappa

    def check(self, task: Task) -> None:
        """See `Shrinkage.check`."""
        if task.space.size() > LISTED:
            raise ValueError(
                f"{task.space.name} has {task.space.size():,} architectures, too many to be listed for their classes; "
                "use shrinkage=lissnas"
            )
        accepting(self.constraint, task)

    def look(self, task: Task) -> Shrunk:
        """See `Shrinkage.look`."""
        space = task.space
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.SHRINKAGE))
        classes: dict[str, Architecture] = {}
        for one in drawn(space, space.size(), acceptable(task, self.constraint), generator):
            classes.setdefault(space.canonical(one), one)
        return kept(space, list(classes.values()), self.kappa)
