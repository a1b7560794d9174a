"""What a table records of an architecture, as its score: how search algorithms are compared without any training."""

from __future__ import annotations

from torch import Generator

from search_spaces.architecture import Architecture
from supernet.benchmarks.base import Benchmark, UnknownRecordError
from supernet.estimators.base import Measured, Task


class Tabular(Measured):
    """The recorded accuracy, in percent.

    Args:
        task: what is scored; only its space matters.
        benchmark: the table.
        dataset: one that it has records of.
        epochs: how long its networks were trained; None for the longest training.

    Raises ValueError for the table of another space, and for records that it does not have.
    """

    def __init__(self, task: Task, benchmark: Benchmark, dataset: str, epochs: int | None = None) -> None:
        if benchmark.space != task.space.name:
            raise ValueError(f"the table knows {benchmark.space}, not {task.space.name}; choose another estimator")
        self.benchmark = benchmark
        self.dataset = dataset
        self.epochs = epochs
        (architecture,) = task.space.sample(1, Generator().manual_seed(0))
        try:
            benchmark.query(architecture, dataset, epochs)
        except UnknownRecordError as error:
            raise ValueError(str(error)) from error

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        return (self.benchmark.query(architecture, self.dataset, self.epochs).accuracy,)
