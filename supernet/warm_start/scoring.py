"""Scoring the thin networks that a warm start looks at."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.evaluation.measuring import cores, one_thread
from supernet.evaluation.measuring import measured as measured_by
from supernet.evaluation.progress import Progress
from supernet.warm_start.base import Effort
from supernet.warm_start.passes import counted

log = logging.getLogger("supernet")


def check_workers(workers: int | None) -> None:
    """Raise ValueError for a number of workers that makes no sense."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers is {workers}: it must be a whole number, at least 1, or null for all cores")


def check_channels(channels: int | None) -> None:
    """Raise ValueError for networks of a width that makes no sense."""
    if channels is not None and (not isinstance(channels, int) or channels < 1):
        raise ValueError(f"channels is {channels}: it must be a whole number, at least 1, or null for the space's own")


def most_workers(workers: int | None, task: Task) -> int | None:
    """So many processes at most; where None is given, no more than this process may have threads, if that is fewer."""
    if workers is None and task.device.type == "cpu" and torch.get_num_threads() < cores():
        return torch.get_num_threads()
    return workers


def check_estimator(factory: EstimatorFactory, task: Task) -> Measured:
    """The estimator. Raises ValueError for one that does not fit the task or scores architectures only together."""
    estimator = factory(task)
    if not isinstance(estimator, Measured):
        raise ValueError(f"{type(estimator).__name__} scores architectures only together; choose another estimator")
    return estimator


def thin(space: SearchSpace, channels: int | None) -> SearchSpace:
    """The space with networks of so many channels and of the least depth; None for the space itself."""
    return space if channels is None else space.thin(channels)


def scored(
    factory: EstimatorFactory, task: Task, architectures: Sequence[Architecture], workers: int | None = None
) -> tuple[Tensor, Effort]:
    """The scores ``(architectures,)``, in float64, and what they have cost; equal architectures are measured once.

    Raises ValueError where there are several and their scores tell none from another.
    """
    different = list(dict.fromkeys(architectures))
    table, effort = measured(factory, task, different, workers)
    place = {architecture: index for index, architecture in enumerate(different)}
    rows = [place[architecture] for architecture in architectures]
    values = check_estimator(factory, task).combine(table[rows])
    lost, several = int((~table.isfinite()).any(dim=1).sum()), len(different) > 1
    if several and lost == len(different):
        raise ValueError(f"none of {lost} networks has a finite score; choose another estimator")
    if several and bool((values == values[0]).all()):
        raise ValueError(f"all {len(different)} networks have the same score; choose another estimator")
    if lost:
        log.warning("%d of %d networks have no finite score and rank last", lost, len(different))
    return values, effort


def measured(
    factory: EstimatorFactory, task: Task, architectures: Sequence[Architecture], workers: int | None = None
) -> tuple[Tensor, Effort]:
    """What an estimator measures ``(architectures, names)``, in float64, and what that has cost.

    The passes are counted for the first architecture and are the same for all.

    Args:
        factory: gives the estimator.
        task: what is looked at.
        architectures: each once.
        workers: processes; None for as many as this one has threads, or cores, and only where that is faster.
    """
    workers = most_workers(workers, task)
    start, estimator = time.perf_counter(), check_estimator(factory, task)
    with Progress(len(architectures), title="warm start") as progress:
        with one_thread(), counted() as passes:
            rows = {0: estimator.measurements(architectures[0])}
        progress.advance()
        rest = list(enumerate(architectures))[1:]
        with closing(measured_by(factory, estimator, task, rest, workers)) as others:
            for number, found in others:
                rows[number] = found.values
                progress.advance()
    table = torch.tensor([rows[number] for number in range(len(architectures))], dtype=torch.float64)
    count = len(architectures)
    effort = Effort(count, passes.forwards * count, passes.backwards * count, time.perf_counter() - start)
    return table.reshape(count, len(estimator.names)), effort
