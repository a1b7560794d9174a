"""Limits on what an architecture may cost, looked up before it is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from search_spaces.architecture import Architecture
from search_spaces.network import multiply_adds, parameters
from search_spaces.space import SearchSpace
from supernet.costs.latency import measured
from supernet.costs.measurements import Measurements
from supernet.costs.survey import Image
from supernet.costs.tables import CostTable, counted, extremes, resized
from supernet.errors import UserError
from supernet.estimators.base import Task

Cost = Callable[[Architecture], float]


@dataclass(frozen=True)
class Limits:
    """The most that an architecture may cost; None for as much as it likes.

    Attributes:
        parameters: of the stand-alone network.
        multiply_adds: of that network for one image.
        milliseconds: that a batch of the measured size takes.
        latency: a ``latency.json``, or the run folder that has it, for the milliseconds.
        network: constructor arguments of the space for the network whose cost is meant, where that is not of the
            supernet's own size.
        size: height and width of its images in pixels; None for those of the data.
    """

    parameters: float | None = None
    multiply_adds: float | None = None
    milliseconds: float | None = None
    latency: str | None = None
    network: Mapping[str, Any] | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if (self.milliseconds is None) != (self.latency is None):
            raise ValueError("limits: milliseconds and latency, the table they are looked up in, belong together")

    def accept(self, task: Task) -> Callable[[Architecture], bool]:
        """Whether an architecture of the task's space stays within all limits.

        Raises ValueError where the cheapest one does not, or `UserError` where there is no table of this network.
        """
        channels, height, width = task.samples.image
        image = (channels, self.size or height, self.size or width)
        meant = resized(task.space, self.network)
        checks: list[tuple[Cost, float]] = []
        if self.parameters is not None:
            checks.append((_counted(task.space, meant, image, "parameters", self.parameters), self.parameters))
        if self.multiply_adds is not None:
            checks.append((_counted(task.space, meant, image, "multiply_adds", self.multiply_adds), self.multiply_adds))
        if self.milliseconds is not None:
            table = measured(Measurements.load(Path(str(self.latency)).expanduser()), meant, image)
            checks.append((_possible(task.space, table, self.milliseconds), self.milliseconds))
        return lambda architecture: all(cost(architecture) <= most for cost, most in checks)


def _counted(
    space: SearchSpace, meant: SearchSpace, image: Image, unit: Literal["parameters", "multiply_adds"], most: float
) -> Cost:
    try:
        table = counted(meant, image, unit)
    except UserError:  # costs do not add up: the network is built
        return lambda architecture: _built(meant, architecture, image, unit)
    return _possible(space, table, most)


def _possible(space: SearchSpace, table: CostTable, most: float) -> Cost:
    least, _ = extremes(space, table)
    if least > most:
        raise ValueError(
            f"limits: the cheapest architecture of {space.name} has {least:,.15g} {table.unit}, more than "
            f"{most:,.15g}; if another size of the network is meant, give it as limits.network.<argument>=..."
        )
    return table.of


def _built(space: SearchSpace, architecture: Architecture, image: Image, unit: str) -> float:
    with torch.random.fork_rng(devices=[]):
        network = space.network(architecture)
    return float(parameters(network) if unit == "parameters" else multiply_adds(network.to("meta"), image))
