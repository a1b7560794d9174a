"""The size of an architecture as a score: the baseline that every other estimator has to beat.

Bigger is scored higher. On NAS-Bench-201 multiply-adds and parameters rank about as well as many published scores
(Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", 2021, arXiv:2008.03064).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

import torch

from search_spaces.architecture import Architecture
from search_spaces.network import multiply_adds, parameters
from supernet.costs.tables import CostTable, counted, resized, sized
from supernet.errors import UserError
from supernet.estimators.base import Measured, Task


class Cost(Measured):
    """Parameters or multiply-adds of the stand-alone network, of disconnected ones too.

    Args:
        task: what is scored; multiply-adds are those for one of its images.
        unit: ``parameters`` or ``multiply_adds``.
        network: constructor arguments of the space for the network that is meant, where that is not of the size of the
            task's; None for the task's.
        size: height and width of the images that network gets, in pixels; None for those of the task.
    """

    def __init__(
        self,
        task: Task,
        unit: Literal["parameters", "multiply_adds"],
        network: Mapping[str, Any] | None = None,
        size: int | None = None,
    ) -> None:
        if unit not in ("parameters", "multiply_adds"):
            raise ValueError(f"unit is {unit!r}: it must be 'parameters' or 'multiply_adds'")
        self.space = resized(task.space, network)
        self.image = sized(task.samples.image, size)
        self.unit = unit

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        if self.table is not None:
            return (self.table.of(architecture),)
        with torch.random.fork_rng(devices=[]):
            network = self.space.network(architecture)
        if self.unit == "parameters":
            return (float(parameters(network)),)
        return (float(multiply_adds(network, self.image)),)

    @functools.cached_property
    def table(self) -> CostTable | None:
        """What each operation costs, None where costs do not add up: to sum them up is far quicker than to build."""
        try:
            return counted(self.space, self.image, self.unit)
        except UserError:
            return None
