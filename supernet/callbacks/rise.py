"""When a noisy series has risen.

The stopping rule of RobustDARTS: Zela et al., 2020, arXiv:1909.09656, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rise:
    """Compares the local mean around two values of a series, the latest that has one and one ``delta`` before it.

    The local mean of value i is that of the values ``i - window // 2`` to ``i + window // 2`` (fewer at the beginning),
    so that it is known ``window // 2`` values later. The series rose where ``mean(i) / mean(i - delta)`` is more than
    ``threshold``; ``i - delta`` is then the last value before the rise. (The paper writes the ratio the other way
    round, with 0.75 as the threshold and a delta of 5. These are the numbers of its published code.)

    Args:
        window: values in a local mean, an odd number.
        delta: how many values lie between the two means.
        threshold: the ratio above which it is a rise.
    """

    window: int = 5
    delta: int = 4
    threshold: float = 1.3

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"window is {self.window}: it must be an odd number, so that it has a middle")
        if self.delta < 1:
            raise ValueError(f"delta is {self.delta}: it must be at least 1")
        if not self.threshold > 0:
            raise ValueError(f"threshold is {self.threshold}: it must be positive")

    @property
    def reach(self) -> int:
        """How many values the one before a rise lies behind the last."""
        return self.window // 2 + self.delta

    def __call__(self, values: Sequence[float]) -> int | None:
        """The index of the last value before the rise, None where the series did not rise.

        A series that starts at zero or below has no ratio, and did not.
        """
        before = len(values) - 1 - self.reach
        if before < 0:
            return None
        then, now = self._mean(values, before), self._mean(values, before + self.delta)
        return before if then > 0 and now / then > self.threshold else None

    def _mean(self, values: Sequence[float], middle: int) -> float:
        half = self.window // 2
        part = values[max(0, middle - half) : middle + half + 1]
        return sum(part) / len(part)
