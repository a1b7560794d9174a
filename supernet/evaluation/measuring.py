"""Measuring many architectures, here or in several processes, with the same numbers.

Every process works with one thread, so that numbers do not depend on how many processes there are: with several threads
sums are taken in another order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait

import torch

from supernet.errors import UserError
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.evaluation.scores import Measurement
from supernet.evaluation.workers import MeasuringError, Numbered, Queue, Worker, begin, timed

PATIENCE = 1.0  # seconds of work here after which it is known how long the rest would take
STARTING = 5.0  # seconds that several processes must save, or none is begun

Found = tuple[int, Measurement]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measured(
    factory: EstimatorFactory,
    estimator: Measured,
    task: Task,
    architectures: Sequence[Numbered] | Queue,
    workers: int | None = None,
    devices: Sequence[torch.device] = (),
) -> Generator[Found, None, None]:
    """The numbers of architectures and what was measured of them, in the order in which they are ready.

    Args:
        factory: gives the estimator in other processes.
        estimator: the same one in this process.
        task: what architectures are scored for.
        architectures: with the number by which each is known; a queue may be filled while it is measured.
        workers: how many processes; 0 or 1 for this one. None for as many as there are cores, or devices if there are
            several, but only where that is faster than to do all here.
        devices: where networks run, taken by the processes in turn; none for the task's.

    Raises:
        MeasuringError: where the estimator fails.
        UserError: where a process ends by itself, or an estimator cannot be sent to other processes; and what an
            estimator says of the input.
    """
    devices = tuple(devices) or (task.device,)
    left: Queue = deque(architectures) if isinstance(architectures, Sequence) else architectures
    most = cores() if devices[0].type == "cpu" else len(devices)
    most = min(most if workers is None else workers, len(left))
    if most <= 1 or workers is None:
        yield from _here(estimator, task, left, most)
    if left:
        yield from _elsewhere(factory, task, left, most, devices)


def _here(estimator: Measured, task: Task, left: Queue, most: int) -> Iterator[Found]:
    """Measure in this process until nothing is left, or until it pays to begin several."""
    with one_thread():
        seconds: list[float] = []
        while left and not pays(seconds, len(left), most):
            number, architecture = left.popleft()
            try:
                found = timed(estimator, architecture)
            except UserError:
                raise
            except Exception as error:
                raise MeasuringError(f"{task.space.format(architecture)} could not be scored: {error!r}") from error
            seconds.append(found.seconds)
            yield number, found


def pays(seconds: Sequence[float], left: int, most: int) -> bool:
    """Whether so many processes would be done with the rest much sooner than this one.

    What the first architecture took is not counted: whatever all share is prepared for it.

    Args:
        seconds: that architectures took here.
        left: how many there still are.
        most: how many processes there could be.
    """
    known = seconds[1:]
    if most <= 1 or sum(known) <= PATIENCE:
        return False
    return sum(known) / len(known) * left * (1 - 1 / most) > STARTING


def _elsewhere(
    factory: EstimatorFactory, task: Task, left: Queue, workers: int, devices: Sequence[torch.device]
) -> Iterator[Found]:
    crew: list[Worker] = []
    try:
        for worker in begin(factory, task, workers, devices):
            crew.append(worker)
            worker.give(left)
        while any(worker.busy for worker in crew):
            ready = wait([pipe for worker in crew for pipe in (worker.jobs, worker.images)])
            for worker in crew:
                try:
                    if worker.images in ready:
                        worker.send_images()
                    if worker.jobs in ready:
                        yield worker.receive()
                        worker.give(left)
                except (EOFError, ConnectionError) as error:
                    yield from worker.rest()
                    raise worker.death() from error
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.process.join()
