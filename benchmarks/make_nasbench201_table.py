"""Makes ``supernet/benchmarks/nasbench201.npz`` from a csv of the published table.

    python benchmarks/make_nasbench201_table.py nasbench201.csv

The csv has the columns of `COLUMNS` and ``index, arch`` in benchmark order.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.benchmarks.nasbench201 import FILE, SCALE

COLUMNS = {
    "cifar10_test": "cifar10@200",
    "cifar100_test": "cifar100@200",
    "cifar10_valid": "cifar10-valid@200",
    "cifar10_valid_12ep": "cifar10-valid@12",
    "cifar100_valid_12ep": "cifar100-valid@12",
}


def main(source: str) -> None:
    space = NASBench201()
    with Path(source).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for architecture, row in zip(benchmark_order(), rows, strict=True):
        assert space.format(architecture) == row["arch"], row
    columns = {}
    for column, name in COLUMNS.items():
        values = [float(row[column]) * SCALE for row in rows]
        columns[name] = np.array([round(value) for value in values], dtype=np.uint32)
        assert np.allclose(columns[name], values, rtol=0, atol=1e-6), f"{column} has more digits than the file keeps"
    np.savez_compressed(FILE, **columns)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
