"""The NAS-Bench-201 table: all 15,625 architectures trained on CIFAR-10 and CIFAR-100.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", 2020, arXiv:2001.00326,
and NATS-Bench, arXiv:2009.00437 (MIT licence). ``nasbench201.npz`` holds the accuracies as whole thousandths of a
percent, in benchmark order; ``benchmarks/make_nasbench201_table.py`` made it.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import benchmark_order
from supernet.benchmarks.base import Benchmark, Record, UnknownRecordError

FILE = Path(__file__).with_name("nasbench201.npz")
SCALE = 1000


class NASBench201Table(Benchmark):
    """Mean accuracies over the recorded seeds.

    ``cifar10`` and ``cifar100`` are test accuracies after 200 epochs on the whole training set; ``cifar10-valid`` is
    the validation accuracy of the 25,000 / 25,000 split after 200 or 12 epochs, ``cifar100-valid`` that after 12.
    """

    space = "nasbench201"

    def __init__(self) -> None:
        self._columns = _columns()
        self._index = _index()
        self.datasets = tuple(sorted(name for name, epochs in self._columns if epochs == 200))

    def __len__(self) -> int:
        return len(self._index)

    def query(self, architecture: Architecture, dataset: str, epochs: int | None = None) -> Record:
        """See `Benchmark.query`."""
        values, epochs = self._column(dataset, epochs)
        return Record(float(values[self.index(architecture)]) / SCALE, dataset, epochs)

    def rank(self, architecture: Architecture, dataset: str, epochs: int | None = None) -> int:
        """See `Benchmark.rank`."""
        values, _ = self._column(dataset, epochs)
        return 1 + int((values > values[self.index(architecture)]).sum())

    def index(self, architecture: Architecture) -> int:
        """The architecture's number in the published table. Raises `UnknownRecordError` for one of another space."""
        if architecture not in self._index:
            raise UnknownRecordError(f"{architecture} is no architecture of NAS-Bench-201")
        return self._index[architecture]

    def architecture(self, index: int) -> Architecture:
        """The architecture with this number."""
        return benchmark_order()[index]

    def accuracies(self, dataset: str, epochs: int | None = None) -> NDArray[np.float64]:
        """All accuracies in percent, in benchmark order."""
        return self._column(dataset, epochs)[0] / SCALE

    def _column(self, dataset: str, epochs: int | None) -> tuple[NDArray[np.uint32], int]:
        lengths = [length for name, length in self._columns if name == dataset]
        epochs = max(lengths, default=0) if epochs is None else epochs
        if (dataset, epochs) not in self._columns:
            known = ", ".join(f"{name} after {length} epochs" for name, length in sorted(self._columns))
            asked = f"{dataset!r}" + (f" after {epochs} epochs" if epochs else "")
            raise UnknownRecordError(f"the NAS-Bench-201 table has no record of {asked}; there are {known}")
        return self._columns[dataset, epochs], epochs


@functools.cache
def _columns() -> dict[tuple[str, int], NDArray[np.uint32]]:
    with np.load(FILE, allow_pickle=False) as table:
        return {(name.split("@")[0], int(name.split("@")[1])): table[name] for name in table.files}


@functools.cache
def _index() -> dict[Architecture, int]:
    return {architecture: index for index, architecture in enumerate(benchmark_order())}
