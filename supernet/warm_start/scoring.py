"""Scoring the thin networks that a warm start looks at."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.evaluation.measuring import Found, cores
from supernet.evaluation.measuring import measured as measured_by
from supernet.evaluation.progress import Progress
from supernet.evaluation.scores import Scores, columns
from supernet.evaluation.workers import Numbered
from supernet.warm_start.base import Effort
from supernet.warm_start.passes import Passes, counted

log = logging.getLogger("supernet")
FILE = "warm_start_scores.csv"
"""In a run's folder: a line for each network as soon as it is measured."""


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
    factory: EstimatorFactory,
    task: Task,
    architectures: Sequence[Architecture],
    workers: int | None = None,
    folder: Path | None = None,
    title: str = "",
) -> tuple[Tensor, Effort]:
    """The scores ``(architectures,)``, in float64, and what they have cost; equal architectures are measured once.

    For the arguments see `measured`. Raises ValueError where there are several architectures and their scores tell none
    from another.
    """
    different = list(dict.fromkeys(architectures))
    table, effort = measured(factory, task, different, workers, folder, title)
    place = {architecture: index for index, architecture in enumerate(different)}
    rows = [place[architecture] for architecture in architectures]
    values = check_estimator(factory, task).combine(table[rows])
    lost, several = int((~values.isfinite()).sum()), len(different) > 1
    if several and lost == len(values):
        raise ValueError(f"none of {len(different)} networks has a finite score; choose another estimator")
    if several and bool((values == values[0]).all()):
        raise ValueError(f"all {len(different)} networks have the same score; choose another estimator")
    if lost:
        log.warning("%d of %d scores are not finite and rank last", lost, len(values))
    return values, effort


def each(
    factory: EstimatorFactory,
    estimator: Measured,
    task: Task,
    architectures: Sequence[Numbered],
    workers: int | None,
    passes: Passes,
) -> Iterator[Found]:
    """See `supernet.evaluation.measuring.measured`; ``passes`` gets those of the first, where it has none yet."""
    if architectures and not passes.networks:
        with counted() as first:
            found = list(measured_by(factory, estimator, task, architectures[:1], 1))
        passes.networks, passes.forwards, passes.backwards = 1, first.forwards, first.backwards
        yield from found
        architectures = architectures[1:]
    with closing(measured_by(factory, estimator, task, architectures, workers)) as others:
        yield from others


def measured(
    factory: EstimatorFactory,
    task: Task,
    architectures: Sequence[Architecture],
    workers: int | None = None,
    folder: Path | None = None,
    title: str = "",
) -> tuple[Tensor, Effort]:
    """What an estimator measures ``(architectures, names)``, in float64, and what that has cost.

    The passes are counted for the first architecture and are the same for all; the seconds are those of what was
    measured before an interruption.

    Args:
        factory: gives the estimator.
        task: what is looked at.
        architectures: each once.
        workers: processes; None for as many as this one has threads, or cores, and only where that is faster.
        folder: of the run, where `FILE` gets a line for each as soon as it is measured, and has those of before.
        title: what tells these lines from others in that file.
    """
    workers, estimator = most_workers(workers, task), check_estimator(factory, task)
    file = None if folder is None else Scores(folder / FILE, columns(estimator))
    known = {} if file is None else file.read()
    texts = [title + task.space.format(one) for one in architectures]
    left = [(number, one) for number, one in enumerate(architectures) if texts[number] not in known]
    found = {number: known[text] for number, text in enumerate(texts) if text in known}
    earlier, passes = sum(one.seconds for one in found.values()), Passes()
    with Progress(len(architectures), len(found), "warm start") as progress, file or nullcontext():
        for number, one in each(factory, estimator, task, left, workers, passes):
            found[number] = one
            if file is not None:
                file.append(texts[number], one)
            progress.advance()
    count = len(architectures)
    table = torch.tensor([found[number].values for number in range(count)], dtype=torch.float64)
    effort = Effort(count, passes.forwards * count, passes.backwards * count, earlier)
    return table.reshape(count, len(estimator.names)), effort
