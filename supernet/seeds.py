"""Independent random seeds from one: everything random is a function of (seed, what for, when)."""

from __future__ import annotations

import numpy as np
import torch

WEIGHTS, ALPHAS, EPOCH, NOISE, WIDENING, SELECTION, SAMPLES, SCORE, WARM_START, SHRINKAGE = range(10)
"""What a seed is for: initial weights, initial alphas, an epoch's global generator, a step's noise, which channels a
wider supernet repeats, the choice of an architecture at the end, the order of sample images, a training-free score's
networks and noise, the warm start, the shrinkage."""


def derive(seed: int, *purpose: int) -> int:
    """A 63-bit seed for this purpose, statistically independent of those of all other purposes."""
    return int(np.random.SeedSequence((seed, *purpose)).generate_state(1, np.uint64)[0] >> 1)


def global_generator(device: torch.device) -> torch.Generator:
    """The generator that layers such as dropout draw from on this device."""
    if device.type == "cuda":
        return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
    return torch.default_generator
