"""Features that are asked for again and again, as a search that fits its predictor anew does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_spaces.architecture import Architecture
from supernet.estimators.features.base import Features, Table


class Remembered(Features):
    """The same features, each row found once.

    Args:
        features: finds them.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self.names = features.names
        self.costly = features.costly
        self._rows: dict[Architecture, Table] = {}

    def table(self, architectures: Sequence[Architecture]) -> Table:
        """See `Features.table`."""
        new = [one for one in dict.fromkeys(architectures) if one not in self._rows]
        if new:
            self._rows |= zip(new, self.features.table(new), strict=True)
        found = [self._rows[architecture] for architecture in architectures]
        return np.array(found, dtype=np.float64).reshape(len(found), len(self.names))
