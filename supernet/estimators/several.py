"""Several estimators side by side: each measures what it always does, and its numbers have its name."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.estimators.proxies.one_pass import together


class Several:
    """Estimators that look at one architecture at a time.

    Args:
        task: what is measured.
        estimators: by name, at least one; each must be `Measured`.

    Attributes:
        parts: the estimators by name.
        names: of all numbers: those of the estimators, and ``name.part`` for one that measures several.
    """

    def __init__(self, task: Task, estimators: Mapping[str, EstimatorFactory]) -> None:
        if not estimators:
            raise ValueError("there are no estimators to measure by")
        self.parts: dict[str, Measured] = {}
        for name, factory in estimators.items():
            part = factory(task)
            if not isinstance(part, Measured):
                raise ValueError(f"{name} cannot be one of several: it scores architectures only together")
            self.parts[name] = part
        self.names = tuple(
            name if len(part.names) == 1 else f"{name}.{inner}"
            for name, part in self.parts.items()
            for inner in part.names
        )

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """A number for each of the names; estimators share their passes where they can."""
        return together(list(self.parts.values()), architecture)
