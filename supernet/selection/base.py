"""The contract of a selection: a supernet in, an architecture out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from matplotlib.figure import Figure

from search_spaces.architecture import Architecture
from supernet import seeds
from supernet.data.images import Images
from supernet.data.sampling import samples
from supernet.errors import SettingsError
from supernet.estimators.base import Task
from supernet.modules.search import SearchModule
from supernet.searchers.history import at_least as at_least

RECORDS = SCORES, CANDIDATES = "scores.csv", "candidates.csv"
"""The files in a run's folder where selections write what they measure, with a column of seconds."""
SCORE, ACCURACY = "selection/score", "selection/accuracy"
"""What an estimator says of the chosen architecture; the share of held-out images that it gets right."""


@dataclass(frozen=True)
class Selected:
    """What was chosen, and what was measured of it, by name; of a search among architectures also how it went.

    Attributes:
        architecture: what was chosen.
        metrics: what was measured of it.
        pictures: of the search, by name.
        curves: of the search, by name: a number for each architecture that was scored, in their order.
    """

    architecture: Architecture
    metrics: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, Figure] = field(default_factory=dict, compare=False)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict, compare=False)


class Selection(ABC):
    """Chooses the architecture of a search after its last epoch, where it is not read off the alphas.

    Attributes:
        respects_pool: whether it chooses from the `pool` of a space that has one.
        respects_constraint: whether it takes a ``constraint`` on the architectures it chooses from.
        needs_training: whether it looks at the supernet's weights, which mean nothing before they are trained.
        decodes: whether it ends with the space's rule for reading a table of weights, as reading the alphas does.
        measures: the names of its metrics.
    """

    respects_pool: ClassVar[bool] = False
    respects_constraint: ClassVar[bool] = False
    needs_training: ClassVar[bool] = True
    decodes: ClassVar[bool] = False
    measures: tuple[str, ...] = ()

    def check(self, task: Task) -> None:  # noqa: B027 (most have nothing to check)
        """Raise ValueError where the settings do not fit the task of a search without training, before any work."""

    @abstractmethod
    def select(self, module: SearchModule, images: Images) -> Selected:
        """The architecture; random choices are a function of the module's seed."""


def prepare(module: SearchModule, images: Images) -> torch.Generator:
    """Move the module to the images, as a trainer has left it behind; a generator for all choices.

    It also seeds torch's global generators, which operations such as ``noise`` draw from.
    """
    module.to(images.device)
    seed = seeds.derive(module.seed, seeds.SELECTION)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def task_of(module: SearchModule, images: Images) -> Task:
    """What a search without training scores architectures for: the module's space, the training half, its seed."""
    return Task(module.space, samples(images, module.seed), module.seed, images.device)


def require_finite(scores: Sequence[float]) -> None:
    """Raise `SettingsError` where not one score is finite, so that none of the architectures is better than another."""
    if not any(map(math.isfinite, scores)):
        raise SettingsError(f"not one of {len(scores):,} architectures has a finite score; use another estimator")
