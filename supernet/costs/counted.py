"""Parameters or multiply-adds in the loss of the alphas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from search_spaces.space import SearchSpace
from supernet.costs.base import CostTerm
from supernet.costs.survey import Image
from supernet.costs.tables import counted, resized, sized


class Counted(CostTerm):
    """The cost term for what can be counted without a device.

    Args:
        space: what is searched.
        image: channels, height and width of its images.
        unit: ``parameters``, or ``multiply_adds`` of convolutions and linear layers for one image.
        weight: see `CostTerm`.
        target: see `CostTerm`.
        discretized: see `CostTerm`.
        network: constructor arguments of the space for the network whose cost is meant, where that is not of the
            supernet's own size; None, also for a single argument, for the supernet's.
        size: height and width of the images that network gets, in pixels; None for that of ``image``.
    """

    def __init__(
        self,
        space: SearchSpace,
        image: Image,
        unit: Literal["parameters", "multiply_adds"],
        weight: float = 1.0,
        target: float | None = None,
        discretized: bool = True,
        network: Mapping[str, Any] | None = None,
        size: int | None = None,
    ) -> None:
        table = counted(resized(space, network), sized(image, size), unit)
        super().__init__(space, table, weight, target, discretized)
