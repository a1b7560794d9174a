"""Independent random seeds from one: everything random is a function of (seed, what for, when)."""

from __future__ import annotations

import numpy as np

WEIGHTS, ALPHAS, EPOCH, NOISE = range(4)
"""What a seed is for: initial weights, initial alphas, an epoch's global generator, a step's sampled mixture."""


def derive(seed: int, *purpose: int) -> int:
    """A 63-bit seed for this purpose, statistically independent of those of all other purposes."""
    return int(np.random.SeedSequence((seed, *purpose)).generate_state(1, np.uint64)[0] >> 1)
