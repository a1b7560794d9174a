"""``scores.csv``: a line for each architecture as soon as it is measured, so that an interruption costs little.

Its columns are the architecture, its score, the seconds that measuring it took and, where the score is more than one
measured number, these numbers. A score that depends on the other architectures stays empty until all are measured.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from typing_extensions import Self

from supernet.errors import UserError
from supernet.estimators.base import Estimator, Measured
from supernet.files import write_atomically

SCORES = "scores.csv"
FIXED = ("arch", "score", "seconds")
DURABLE = 1.0  # a power failure loses at most the lines of so many seconds, the end of the process none


@dataclass(frozen=True)
class Measurement:
    """What was measured of one architecture, and how long it took."""

    values: tuple[float, ...]
    seconds: float


class Scores:
    """The file in a run's folder; as a context it is open for further lines.

    Args:
        path: the file; it need not be there.
        names: of the measured numbers that have columns of their own, from `columns`.
    """

    def __init__(self, path: Path, names: Sequence[str] = ()) -> None:
        self.path = path
        self.header = [*FIXED, *names]
        self._file: TextIO | None = None
        self._synced = 0.0
        self._seen = 0  # bytes

    def read(self) -> dict[str, Measurement]:
        """What is there, by the architecture's text; a last line that was interrupted is taken off the file.

        Raises `UserError` where the file is not one of these columns or is damaged elsewhere.
        """
        if not self.path.exists():
            return {}
        complete = self.path.read_text(errors="replace").rpartition("\n")[0].splitlines()
        self._check(complete[:1])
        found: dict[str, Measurement] = {}
        for number, line in enumerate(complete[1:], start=2):
            try:
                text, one = self._parsed(line)
            except (ValueError, csv.Error) as error:
                if number < len(complete):
                    raise UserError(f"{self.path}, line {number} is damaged: {line!r}") from error
                complete = complete[:-1]
            else:
                found[text] = one
        write_atomically(self.path, "".join(line + "\n" for line in complete))
        return found

    def further(self) -> dict[str, Measurement]:
        """The whole lines that were added since this was last called; another process may be writing the file."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._seen)
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return {}
        lines = whole.decode(errors="replace").splitlines()
        try:
            if not self._seen:
                self._check(lines[:1])
                lines = lines[1:]
            found = dict(self._parsed(line) for line in lines)
        except (ValueError, csv.Error) as error:
            raise UserError(f"{self.path} is damaged: {error}") from error
        self._seen += len(whole) + bool(whole)
        return found

    def _check(self, first: Sequence[str]) -> None:
        header = ",".join(self.header)
        if first and first[0] != header:
            raise UserError(f"{self.path} has the columns {first[0]}, not {header}")

    def _parsed(self, line: str) -> tuple[str, Measurement]:
        (fields,) = csv.reader([line])
        if len(fields) != len(self.header):
            raise ValueError
        text, score, seconds, *own = fields
        return text, Measurement(tuple(map(float, own or [score])), float(seconds))

    def __enter__(self) -> Self:
        self._file = self.path.open("a", newline="")
        if not self.path.stat().st_size:
            self._write([self.header])
        return self

    def __exit__(self, *error: object) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()

    def append(self, text: str, found: Measurement) -> None:
        """Add the line of one architecture."""
        self._write([self._line(text, found)])

    def keep(self, found: Mapping[str, Measurement]) -> None:
        """Write the file anew with what was measured so far."""
        write_atomically(self.path, _text([self.header, *(self._line(text, one) for text, one in found.items())]))

    def finish(self, texts: Sequence[str], found: Iterable[Measurement], scores: Sequence[float]) -> None:
        """Write the file anew as a whole, with all scores and in this order."""
        lines = [self._line(text, one, score) for text, one, score in zip(texts, found, scores, strict=True)]
        write_atomically(self.path, _text([self.header, *lines]))

    def _line(self, text: str, found: Measurement, score: float | None = None) -> list[str]:
        own = [repr(value) for value in found.values] if len(self.header) > len(FIXED) else []
        if score is None and not own:
            (score,) = found.values
        return [text, "" if score is None else repr(score), f"{found.seconds:.6f}", *own]

    def _write(self, lines: Iterable[Sequence[str]]) -> None:
        assert self._file is not None
        self._file.write(_text(lines))
        self._file.flush()
        if time.monotonic() - self._synced > DURABLE:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()


def columns(estimator: Estimator) -> tuple[str, ...]:
    """The names of the measured numbers, none where the only one is the score itself."""
    if not isinstance(estimator, Measured):
        return ()
    single = estimator.names == Measured.names and type(estimator).combine is Measured.combine
    return () if single else estimator.names


def _text(lines: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()
