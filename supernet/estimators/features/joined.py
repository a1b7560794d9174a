"""Several sets of features side by side, such as GRAF and proxies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, FeaturesFactory, Table


class Joined(Features):
    """The columns of all parts, one part after the other.

    Args:
        task: what the architectures belong to.
        parts: by a name, which is for the configuration alone.

    Raises ValueError where two parts have a feature of the same name.
    """

    def __init__(self, task: Task, parts: Mapping[str, FeaturesFactory]) -> None:
        if not parts:
            raise ValueError("there are no features to join")
        self.parts = [factory(task) for factory in parts.values()]
        self.names = tuple(name for part in self.parts for name in part.names)
        self.costly = any(part.costly for part in self.parts)
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise ValueError(f"two sets of features both have {min(twice)}")

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`."""
        return np.hstack([part.table(architectures) for part in self.parts])
