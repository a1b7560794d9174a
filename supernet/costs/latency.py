"""Measured latency in the loss of the alphas.

The latency of an architecture is estimated as that of its operations, each measured by itself, plus a fixed remainder
(ProxylessNAS, Cai, Zhu and Han, 2019, arXiv:1812.00332, section 3.3). ``python -m supernet.latency`` measures them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search_spaces.space import SearchSpace
from supernet.costs.base import CostTerm
from supernet.costs.measurements import Measurements
from supernet.costs.survey import Image, survey
from supernet.costs.tables import CostTable, resized, sized, tabulate
from supernet.errors import UserError


class Latency(CostTerm):
    """The cost term for milliseconds, which a batch of the measured size takes.

    Args:
        space: what is searched.
        image: channels, height and width of its images.
        path: a ``latency.json``, or the run folder that has it.
        weight: see `CostTerm`.
        target: see `CostTerm`.
        discretized: see `CostTerm`.
        network: see `Counted`; the network that was measured.
        size: see `Counted`.
    """

    def __init__(
        self,
        space: SearchSpace,
        image: Image,
        path: str | None,
        weight: float = 1.0,
        target: float | None = None,
        discretized: bool = True,
        network: Mapping[str, Any] | None = None,
        size: int | None = None,
    ) -> None:
        table = latencies(path, resized(space, network), sized(image, size))
        super().__init__(space, table, weight, target, discretized)


def latencies(path: str | None, space: SearchSpace, image: Image) -> CostTable:
    """The table of a space's latencies from a file. Raises `UserError` with the remedy where it is not there."""
    if path is None:
        raise UserError(
            "a table of latencies is needed (cost.path=, estimator.path= or constraint.cost.path=, where it is used); "
            f"measure it with: {command(space, image)}"
        )
    return measured(Measurements.load(Path(path).expanduser()), space, image)


def measured(found: Measurements, space: SearchSpace, image: Image) -> CostTable:
    """The table of a space's latencies. Raises `UserError` with the remedy where another network was measured."""
    places = survey(space, image).places
    times = found.times(places)
    if times is not None:
        return tabulate("milliseconds", space, places, lambda place: times[place.shape], found.fixed)
    measured_image = "x".join(map(str, found.image))
    settings = _settings(found, space, image)
    remedy = f"; if that is the network you mean, add {' '.join(settings)}" if settings else ""
    raise UserError(
        f"cost.path has the latencies of another network ({found.search_space} for images of {measured_image}); "
        f"measure this one with: {command(space, image)}{remedy}"
    )


def command(space: SearchSpace, image: Image) -> str:
    """What to type to measure the networks of this space."""
    declared = inspect.signature(type(space)).parameters
    settings = [
        f"search_space.{name}={'null' if value is None else value}"
        for name, value in space.arguments.items()
        if name not in declared or declared[name].default != value
    ]
    size = f"size={image[1]}" if image[1] == image[2] else f"'size=[{image[1]},{image[2]}]'"
    return " ".join(["python -m supernet.latency", f"search_space={space.name}", *settings, size])


def _settings(found: Measurements, space: SearchSpace, image: Image) -> list[str]:
    """The settings with which the measured network would be the one that is meant; empty where there are none."""
    if found.search_space != space.name or found.image[0] != image[0] or found.image[1] != found.image[2]:
        return []

    def fits(arguments: Mapping[str, Any]) -> bool:
        return found.times(survey(resized(space, arguments), found.image).places) is not None

    theirs = {name: found.arguments[name] for name, value in space.arguments.items() if found.arguments[name] != value}
    if not fits(theirs):
        return []
    for name in list(theirs):
        rest = {other: value for other, value in theirs.items() if other != name}
        theirs = rest if fits(rest) else theirs
    size = [f"cost.size={found.image[1]}"] if found.image != image else []
    return [*(f"cost.network.{name}={value}" for name, value in theirs.items()), *size]
