"""``shrinkage.json`` and ``shrinkage.csv``: what a shrinkage has left, so that a resumed search does not shrink again.

The csv file has a line for each architecture of the pool, the best-scored first; `supernet.evaluate` reads it too.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search_spaces.space import SearchSpace
from supernet.files import write_atomically
from supernet.shrinkage.base import Round, Shrunk
from supernet.shrinkage.locality import Correlogram
from supernet.shrinkage.report import Report
from supernet.warm_start import record

FILE, POOL = "shrinkage.json", "shrinkage.csv"
NUMBER = int | float


def save(
    folder: Path, space: SearchSpace, outcome: Shrunk, name: str, settings: Mapping[str, Any], report: Report
) -> None:
    """Write both files, atomically; see `supernet.warm_start.record.save`."""
    if outcome.space.pool is not None:
        values = outcome.values or [None] * len(outcome.space.pool)
        file = io.StringIO()
        lines = [[space.format(one), value] for one, value in zip(outcome.space.pool, values, strict=True)]
        csv.writer(file, lineterminator="\n").writerows([["arch", "score"], *lines])
        write_atomically(folder / POOL, file.getvalue())
    more = {
        "report": report.plain(),
        "values": None if outcome.values is None else [_number(value) for value in outcome.values],
        "rounds": [asdict(one) for one in outcome.rounds],
        "locality": None if outcome.locality is None else _plain(outcome.locality),
    }
    record.save(folder, space, outcome, name, settings, FILE, more)


def load(path: Path, space: SearchSpace) -> Shrunk:
    """What was found in this space. Raises `UserError` that says what is wrong with the file."""

    def parse(content: Any) -> Shrunk:
        found = record.outcome_of(content, space)
        values, locality = content["values"], content["locality"]
        if values is not None:
            values = tuple(_read(value) for value in values)
            if found.space.pool is None or len(values) != len(found.space.pool):
                raise ValueError("its values are not one for each architecture")
        rounds = tuple(Round(**{key: _finite(value) for key, value in one.items()}) for one in content["rounds"])
        if locality is not None:
            locality = Correlogram(**{key: tuple(map(_nan, numbers)) for key, numbers in locality.items()})
        return Shrunk(found.space, found.scores, found.start, found.effort, values, rounds, locality)

    return record.parsed(path, space, parse)


def _plain(found: Correlogram) -> dict[str, list[float | None]]:
    return {name: [_number(value) for value in values] for name, values in asdict(found).items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite(value: Any) -> Any:
    if not isinstance(value, NUMBER) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _read(value: Any) -> float:
    return -math.inf if value is None else float(_finite(value))


def _nan(value: Any) -> Any:
    return math.nan if value is None else _finite(value)
