"""Latency as a cost: the milliseconds that a batch takes, summed up from a table of measured operations.

See `supernet.costs.latency`, also for where the table comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.architecture import Architecture
from supernet.costs.latency import latencies
from supernet.costs.tables import resized, sized
from supernet.estimators.base import Measured, Task


class Latency(Measured):
    """Milliseconds of the stand-alone network; slower is scored higher.

    Args:
        task: what is scored.
        path: a ``latency.json``, or the run folder that has it.
        network: see `Cost`, as the next one; the network that was measured.
        size: see there.
    """

    def __init__(
        self, task: Task, path: str | None, network: Mapping[str, Any] | None = None, size: int | None = None
    ) -> None:
        self.table = latencies(path, resized(task.space, network), sized(task.samples.image, size))

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        return (self.table.of(architecture),)
