"""Measured latencies, as a file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from supernet.costs.survey import Image, Place, Shape
from supernet.errors import UserError
from supernet.files import write_atomically

FILE = "latency.json"
FORMAT = 1
LARGEST = 4 * 2**20  # bytes; ours have some ten thousand


@dataclass(frozen=True)
class Timed:
    """How long an operation of one shape takes, and at how many places the network has it."""

    shape: Shape
    places: int
    milliseconds: float


@dataclass(frozen=True)
class Measurements:
    """What was measured, of which network, on what.

    Attributes:
        search_space: the name of the search space's configuration file.
        arguments: the constructor arguments of the space whose stand-alone networks were measured.
        image: channels, height and width of the images.
        batch_size: images that pass through the network at once; all times are for a batch.
        device: its name.
        threads: of the CPU.
        fixed: milliseconds of everything that is not searched.
        operations: one entry for each shape.
        check: how well the sums predict the times of whole networks.
        versions: of Python and of the packages.
    """

    search_space: str
    arguments: dict[str, Any]
    image: Image
    batch_size: int
    device: str
    threads: int
    fixed: float
    operations: tuple[Timed, ...]
    check: dict[str, float]
    versions: dict[str, str]

    def times(self, places: Iterable[Place]) -> dict[Shape, float] | None:
        """The milliseconds of each shape; None where these are not the places of the measured network."""
        if Counter(place.shape for place in places) != {timed.shape: timed.places for timed in self.operations}:
            return None
        return {timed.shape: timed.milliseconds for timed in self.operations}

    def save(self, folder: Path) -> Path:
        """Write ``latency.json``, and the times alone as ``latency.csv``, in this folder, atomically."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["operation", "stride", "input", "output", "places", "milliseconds"])
        for timed in self.operations:
            sizes = ("x".join(map(str, size)) for size in (timed.shape.input, timed.shape.output))
            writer.writerow(
                [timed.shape.operation, timed.shape.stride, *sizes, timed.places, f"{timed.milliseconds:.6f}"]
            )
        write_atomically(folder / "latency.csv", text.getvalue())
        write_atomically(folder / FILE, json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n")
        return folder / FILE

    @classmethod
    def load(cls, path: Path) -> Measurements:
        """Read a ``latency.json``, or the one in a run folder. Raises `UserError` that says what is wrong with it."""
        path = path / FILE if path.is_dir() else path
        if not path.is_file():
            raise UserError(f"{path}: there is no such file; give a latency.json, or the folder it is in")
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has {path.stat().st_size:,} bytes: that is no table of latencies")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise UserError(f"{path} is no table of latencies of format {FORMAT}, the one this version reads")
            image, fixed = _image(content.pop("image")), _time(content.pop("fixed"))
            operations = tuple(_timed(entry) for entry in content.pop("operations"))
            return cls(image=image, fixed=fixed, operations=operations, **content)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{path} is no table of latencies: {type(error).__name__}: {error}") from error


def _timed(entry: dict[str, Any]) -> Timed:
    shape = entry["shape"]
    sizes = _image(shape["input"]), _image(shape["output"])
    return Timed(Shape(shape["operation"], shape["stride"], *sizes), entry["places"], _time(entry["milliseconds"]))


def _image(values: Any) -> Image:
    channels, height, width = (int(value) for value in values)
    return channels, height, width


def _time(value: Any) -> float:
    if not 0 <= float(value) < math.inf:
        raise ValueError(f"{value!r} is no time")
    return float(value)
