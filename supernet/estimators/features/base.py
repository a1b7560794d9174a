"""The contract of features: for each architecture a row of numbers, each with a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task

Table = NDArray[np.float64]
"""A row for each architecture ``(architectures, features)``."""


class Features(ABC):
    """Describes the architectures of a space by numbers.

    A row depends on its architecture alone, not on the others that are asked for with it.

    Attributes:
        names: of the columns, all different.
        costly: whether a row takes long enough that it pays to measure rows in several processes and to keep them.
    """

    names: tuple[str, ...]
    costly: bool = False

    @abstractmethod
    def table(self, architectures: Sequence[Architecture]) -> Table:
        """A number for each architecture and each of `names` ``(architectures, features)``.

        Minus infinity stands where there is none, because a measurement failed.
        """


FeaturesFactory = Callable[[Task], Features]
"""What a configuration gives (``_partial_: true``): features that still have to be told their task."""
