"""Trained architectures as a file: ``trained.csv`` with columns arch and accuracy."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.errors import UserError
from supernet.estimators.features.known import read_column
from supernet.files import write_atomically

TRAINED = "trained.csv"
LEAST = 2


def read_trained(source: str | Path, space: SearchSpace) -> tuple[list[Architecture], list[float]]:
    """Architectures and their accuracies, in the file's order.

    Args:
        source: a csv file, or the folder of a run that has written ``trained.csv``.
        space: what they belong to.

    Raises `UserError` for a file that is not such a one, or has fewer than two architectures.
    """
    path = Path(source).expanduser()
    path = path / TRAINED if path.is_dir() else path
    found = read_column(path, "accuracy", space)
    if len(found) < LEAST:
        raise UserError(f"{path} has {len(found)} trained architectures: a predictor needs at least {LEAST}")
    return list(found), list(found.values())


def write_trained(
    path: Path, architectures: Sequence[Architecture], accuracies: Sequence[float], space: SearchSpace
) -> None:
    """A csv file that `read_trained` reads back."""
    file = io.StringIO()
    rows = ([space.format(one), repr(float(value))] for one, value in zip(architectures, accuracies, strict=True))
    csv.writer(file, lineterminator="\n").writerows([["arch", "accuracy"], *rows])
    write_atomically(path, file.getvalue())
