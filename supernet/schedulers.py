"""Schedules of the learning rate that torch does not have."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class StagedCosine(LRScheduler):
    """A cosine from the initial rate to ``eta_min`` in each of several equal stages (P-DARTS, Chen et al., 2019).

    Args:
        optimizer: whose rate is set.
        epochs: of the whole search.
        stages: how many.
        eta_min: the rate at the end of each.
    """

    def __init__(self, optimizer: Optimizer, epochs: int, stages: int, eta_min: float = 0.0) -> None:
        if stages < 1 or epochs < stages:
            raise ValueError(f"{epochs} epochs cannot have {stages} stages")
        self.starts = [round(stage * epochs / stages) for stage in range(stages)] + [epochs]
        self.eta_min = eta_min
        super().__init__(optimizer)

    def get_lr(self) -> list[float | object]:  # type: ignore[override]
        """The rate of each group in the current epoch."""
        epoch = min(self.last_epoch, self.starts[-1] - 1)
        stage = max(index for index, start in enumerate(self.starts[:-1]) if start <= epoch)
        done = (epoch - self.starts[stage]) / (self.starts[stage + 1] - self.starts[stage])
        share = (1 + math.cos(math.pi * done)) / 2
        return [self.eta_min + (float(base) - self.eta_min) * share for base in self.base_lrs]


class LinearWithWarmup(LRScheduler):
    """Epoch ``e`` of ``E`` has ``min(1, (e + 1) / warmup) (1 - e / E)`` of the initial rate (Xu et al., 2020).

    A rate for large batches, arXiv:1907.05737, section 4.3. The authors' code lets the last epochs fall more slowly.

    Args:
        optimizer: whose rate is set.
        epochs: of the whole training.
        warmup: first epochs, in which the rate rises.
    """

    def __init__(self, optimizer: Optimizer, epochs: int, warmup: int) -> None:
        if warmup < 0:
            raise ValueError(f"warmup is {warmup}: it must not be negative")
        self.epochs = epochs
        self.warmup = warmup
        super().__init__(optimizer)

    def get_lr(self) -> list[float | object]:  # type: ignore[override]
        """The rate of each group in the current epoch."""
        epoch = min(self.last_epoch, self.epochs)
        share = min(1.0, (epoch + 1) / max(1, self.warmup)) * (1 - epoch / self.epochs)
        return [float(base) * share for base in self.base_lrs]
