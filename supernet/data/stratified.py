"""A random choice that keeps the proportions of the classes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def stratified(labels: Tensor, count: int, seed: int, least: int = 1, left: int = 0) -> Tensor:
    """Choose ``count`` of the labelled items, as evenly over the classes as whole numbers allow.

    Each class gives its share, rounded by the method of largest remainders, but at least ``least`` items, and keeps at
    least ``left``. Where that cannot be met for all classes together, more or fewer than ``count`` are chosen.

    Args:
        labels: ``(items,)``, integers from 0; every class that occurs has at least ``least + left`` items.
        count: how many to choose.
        seed: determines which.
        least: items every class gives.
        left: items every class keeps.

    Returns:
        The chosen positions, ascending, int64.
    """
    classes = labels.numpy()
    sizes = np.bincount(classes)
    share = count * sizes / sizes.sum()
    lowest, highest = np.minimum(least, sizes), np.maximum(sizes - left, 0)
    quota = np.clip(np.floor(share).astype(np.int64), lowest, highest)
    while quota.sum() != count:
        step = 1 if quota.sum() < count else -1
        free = quota < highest if step > 0 else quota > lowest
        if not free.any():
            break
        quota[np.argmax(np.where(free, step * (share - quota), -np.inf))] += step

    shuffled = np.random.default_rng(seed).permutation(len(classes))
    shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]  # class by class, random within each
    rank = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return torch.from_numpy(np.sort(shuffled[rank < np.repeat(quota, sizes)]))


def others(chosen: Tensor, count: int) -> Tensor:
    """The positions of 0 to ``count - 1`` that are not among the chosen ones, ascending."""
    rest = torch.ones(count, dtype=torch.bool)
    rest[chosen] = False
    return rest.nonzero().flatten()
