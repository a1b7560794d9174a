"""The contracts of everything that ranks architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.samples import Samples

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """What architectures are scored for.

    Attributes:
        space: what they belong to; its networks are what is looked at.
        samples: images of the data they will be trained on.
        seed: determines whatever is random in a score.
        device: where networks run.
    """

    space: SearchSpace
    samples: Samples
    seed: int = 0
    device: torch.device = CPU


class Estimator(ABC):
    """Gives each architecture a score; higher is better, always."""

    @abstractmethod
    def score(self, architectures: Sequence[Architecture]) -> Tensor:
        """Scores ``(len(architectures),)`` in float64; minus infinity for what cannot work at all."""


EstimatorFactory = Callable[[Task], Estimator]
"""What a configuration gives (``_partial_: true``): an estimator that still has to be told its task."""


class Measured(Estimator):
    """An estimator that looks at one architecture at a time, so that an evaluation can be divided and resumed.

    What it measures of an architecture is one number or several. Where the score is more than a single number, such as
    a rank among the others, `combine` makes it of what was measured of all.

    Attributes:
        names: of the measured numbers.
    """

    names: tuple[str, ...] = ("score",)

    @abstractmethod
    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """A number for each of `names`; a function of the architecture alone, not of what was measured before."""

    def combine(self, measurements: Tensor) -> Tensor:
        """The scores ``(architectures,)`` from what was measured ``(architectures, len(names))``, in float64."""
        return measurements[:, 0]

    def score(self, architectures: Sequence[Architecture]) -> Tensor:
        """See `Estimator.score`."""
        rows = [self.measurements(architecture) for architecture in architectures]
        return self.combine(torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(self.names)))
