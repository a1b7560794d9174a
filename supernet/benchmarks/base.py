"""The contract of a table: the recorded result of an architecture that was trained for real."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from search_spaces.architecture import Architecture


class UnknownRecordError(LookupError):
    """The table does not have what was asked; the message lists what it has."""


@dataclass(frozen=True)
class Record:
    """One recorded result.

    Attributes:
        accuracy: percent, the mean over the recorded seeds.
        dataset: the data set and split the accuracy was measured on.
        epochs: how long the architecture was trained.
    """

    accuracy: float
    dataset: str
    epochs: int


class Benchmark(ABC):
    """Recorded results of all architectures of one search space.

    Attributes:
        space: the name of the search space.
        datasets: the data sets whose records at full training length are known.
    """

    space: str
    datasets: tuple[str, ...]

    @abstractmethod
    def query(self, architecture: Architecture, dataset: str, epochs: int | None = None) -> Record:
        """The record of an architecture; ``epochs`` None means the longest training. Raises `UnknownRecordError`."""

    @abstractmethod
    def rank(self, architecture: Architecture, dataset: str, epochs: int | None = None) -> int:
        """One plus the number of architectures with a higher accuracy. Raises `UnknownRecordError`."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of architectures."""

    def percentile(self, architecture: Architecture, dataset: str, epochs: int | None = None) -> float:
        """The share of the other architectures, in percent, that are not better."""
        return 100.0 * (1.0 - (self.rank(architecture, dataset, epochs) - 1) / (len(self) - 1))
