"""A csv file with a line for each measurement as soon as it is made, so that an interruption costs little.

What a selection decides is a function of what it measures. A resumed one goes the same way again, but reads from the
file what was measured before.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from supernet.errors import UserError
from supernet.files import write_atomically

Key = tuple[str | int, ...]
Values = tuple[float, ...]
SECONDS = "seconds"


class Journal:
    """Measures what the file does not have yet.

    Args:
        path: the file; it need not be there. A last line that was interrupted is taken off it.
        keys: the columns that say what was measured.
        values: the columns of the numbers; the seconds that measuring them took follow.

    Raises `UserError` where the file has other columns or is damaged before its last line.
    """

    def __init__(self, path: Path, keys: Sequence[str], values: Sequence[str]) -> None:
        self.path = path
        self.header = [*keys, *values, SECONDS]
        self._keys = len(keys)
        self._known: dict[tuple[str, ...], Values] = {}
        lines = rows(path)
        if lines and lines[0] != self.header:
            raise UserError(f"{path} has the columns {','.join(lines[0])}, not {','.join(self.header)}")
        for number, line in enumerate(lines[1:], start=2):
            try:
                *numbers, _ = map(float, line[self._keys :])
                if len(line) != len(self.header):
                    raise ValueError
            except ValueError as error:
                if number < len(lines):
                    raise UserError(f"{path}, line {number} is damaged: {','.join(line)!r}") from error
                lines = lines[:-1]
            else:
                self._known[tuple(line[: self._keys])] = tuple(numbers)
        write_atomically(path, text(lines or [self.header]))

    def __contains__(self, key: Key) -> bool:
        return tuple(map(str, key)) in self._known

    def __call__(self, key: Key, measure: Callable[[], Sequence[float]]) -> Values:
        """What was measured under this key; it is measured, and written down, if the file does not say it."""
        name = tuple(map(str, key))
        if name not in self._known:
            start = time.perf_counter()
            found = tuple(float(value) for value in measure())
            self._known[name] = found
            with self.path.open("a", newline="") as file:
                file.write(text([[*name, *map(repr, found), f"{time.perf_counter() - start:.6f}"]]))
        return self._known[name]


def rows(path: Path) -> list[list[str]]:
    """The complete lines of a csv file; none where there is no file."""
    if not path.exists():
        return []
    complete = path.read_text(errors="replace").rpartition("\n")[0]
    return list(csv.reader(complete.splitlines()))


def text(lines: Sequence[Sequence[object]]) -> str:
    """Lines as csv."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()


def recorded_seconds(path: Path) -> float:
    """How long all measurements of a csv file with a column of seconds took; 0 where there is no such file."""
    header, *lines = rows(path) or [[]]
    if SECONDS not in header:
        return 0.0
    index, total = header.index(SECONDS), 0.0
    for line in lines:
        try:
            total += float(line[index])
        except (ValueError, IndexError):  # an interrupted line
            continue
    return total if math.isfinite(total) else 0.0
