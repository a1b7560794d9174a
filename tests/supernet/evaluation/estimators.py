"""Estimators for tests of the machinery; other processes import them from here."""

from __future__ import annotations

import multiprocessing
import os
import signal

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import Estimator, Measured, Task


class Sensitive(Measured):
    """The sum of the logits' sizes in full precision: any difference in rounding shows."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @torch.no_grad()
    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.task.seed)
            network = self.task.space.network(architecture).train()
            images = [self.task.samples.batch(size, number)[0] for size, number in ((8, 0), (4, 3))]
            return (sum(float(network(batch).double().abs().sum()) for batch in images),)


class Placed(Measured):
    """On which device it was told to work, and with how many threads it does."""

    names = ("device", "threads", "process")

    def __init__(self, task: Task) -> None:
        self.task = task

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        return float(self.task.device.index or 0), float(torch.get_num_threads()), float(os.getpid())


class Ranked(Measured):
    """Two numbers of which the score is made only when those of all are known."""

    names = ("edges", "kinds")

    def __init__(self, task: Task) -> None:
        self.task = task

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        (row,) = (row for _, row in architecture.choices)
        return float(sum(choice != 0 for choice in row)), float(len(set(row)))

    def combine(self, measurements: Tensor) -> Tensor:
        return (measurements - measurements.mean(dim=0)).sum(dim=1)


class Failing(Measured):
    """Cannot score architectures whose last edge is ``none``."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        if architecture.choices[0][1][-1] == 0:
            raise ZeroDivisionError("the last edge is none")
        return (1.0,)


class Dying(Failing):
    """Kills its process instead."""

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        try:
            return super().measurements(architecture)
        except ZeroDivisionError:
            os.kill(os.getpid(), signal.SIGKILL)
            raise


class Unwilling(Placed):
    """Cannot be made in a process that another one began."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        if multiprocessing.parent_process() is not None:
            raise ZeroDivisionError("far from home")


class Complaining(Failing):
    """Blames the input instead."""

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        try:
            return super().measurements(architecture)
        except ZeroDivisionError as error:
            raise UserError("the images are too small; use data.size=16") from error


class Refusing(Placed):
    """Says in a process that another one began what is wrong with the input."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        if multiprocessing.parent_process() is not None:
            raise UserError("the file has gone; fetch it again")


class Together(Estimator):
    """Scores all at once: how often an architecture's first operation is chosen among all."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def score(self, architectures) -> Tensor:
        first = torch.tensor([architecture.choices[0][1][0] for architecture in architectures])
        return (first[:, None] == first).sum(dim=1).double()
