"""The contract of everything that ranks architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from search_spaces.architecture import Architecture


class Estimator(ABC):
    """Gives each architecture a score; higher is better, always."""

    @abstractmethod
    def score(self, architectures: Sequence[Architecture]) -> Tensor:
        """Scores ``(len(architectures),)`` in float64."""
