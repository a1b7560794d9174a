"""Features that were found before: rows in memory, or scores in files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.space import SearchSpace
from supernet.errors import UserError
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.features.measured import signed_log
from supernet.files import read_table


class Known(Features):
    """Features that are looked up.

    Args:
        names: see `Features`.
        rows: by architecture.
    """

    def __init__(self, names: Sequence[str], rows: Mapping[Architecture, Sequence[float]]) -> None:
        self.names = tuple(names)
        self.rows = rows

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`. Raises ValueError for an architecture without a row."""
        for architecture in architectures:
            if architecture not in self.rows:
                raise ValueError(f"the features of {architecture} are not known")
        found = [self.rows[architecture] for architecture in architectures]
        return np.array(found, dtype=np.float64).reshape(len(found), len(self.names))


class ScoreFiles(Known):
    """Scores from csv files with columns ``arch`` and ``score``, compressed by `signed_log`.

    Args:
        task: what the architectures belong to.
        files: by the feature's name, such as ``scores.csv`` of an evaluation.

    An architecture has features if it is in all of the files. Raises `UserError` for a file that is not such a one.
    """

    def __init__(self, task: Task, files: Mapping[str, str | Path]) -> None:
        if not files:
            raise ValueError("there are no files of scores; give them as +features.files.naswot=<scores.csv>")
        self.space = task.space
        found = [read_scores(Path(path).expanduser(), task.space) for path in files.values()]
        shared = [architecture for architecture in found[0] if all(architecture in scores for scores in found)]
        super().__init__(tuple(files), {one: signed_log([scores[one] for scores in found]).tolist() for one in shared})

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`. Raises `UserError` for an architecture that is not in all of the files."""
        for architecture in architectures:
            if architecture not in self.rows:
                raise UserError(f"{self.space.format(architecture)} is not in all files of scores; score it too")
        return super().table(architectures)


def read_scores(path: Path, space: SearchSpace) -> dict[Architecture, float]:
    """The scores of a csv file by architecture."""
    return read_column(path, "score", space)


def read_column(path: Path, column: str, space: SearchSpace) -> dict[Architecture, float]:
    """A column of numbers of a csv file by the architectures of its column ``arch``, in the file's order.

    Raises `UserError` that names the line where the file breaks, or an architecture comes with two different numbers.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; give a csv file with columns arch and {column}")
    found: dict[Architecture, float] = {}
    for line, row in read_table(path, ["arch", column]):
        where = f"{path}, line {line}"
        try:
            architecture, number = space.parse(row["arch"]), float(row[column])
        except ArchitectureError as error:
            raise UserError(f"{where}: {error}") from error
        except ValueError as error:
            raise UserError(f"{where}: {column} is {row[column]!r}, not a number") from error
        if math.isnan(number):
            raise UserError(f"{where}: {column} is {row[column]!r}, not a number")
        if found.get(architecture, number) != number:
            raise UserError(f"{where}: {row['arch']} has a second, other {column}")
        found[architecture] = number
    return found
