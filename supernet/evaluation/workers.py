"""Processes that measure architectures.

They get no data set: they ask the process that began them for the images they look at, once.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.evaluation.scores import Measurement
from supernet.samples import Samples

AHEAD = 2  # architectures that a process is given at a time, so that it never waits for the next

Numbered = tuple[int, Architecture]


class Queue(Protocol):
    """What is left to be measured, true if there is a next one; it may be filled while it is emptied."""

    def __len__(self) -> int:
        """About how many there are."""

    def popleft(self) -> Numbered:
        """The next one, where there is one."""


class MeasuringError(RuntimeError):
    """An estimator failed; the message names the architecture."""


def timed(estimator: Measured, architecture: Architecture) -> Measurement:
    """What is measured of an architecture, and how long it takes."""
    start = time.perf_counter()
    values = estimator.measurements(architecture)
    return Measurement(values, time.perf_counter() - start)


@dataclass
class Worker:
    """Another process as this one sees it.

    Attributes:
        task: what it scores for.
        process: it.
        jobs: carries architectures there and measurements back.
        images: carries positions here and images back.
        busy: the architectures it was given, the one at work first.
    """

    task: Task
    process: BaseProcess
    jobs: Connection
    images: Connection
    busy: deque[Numbered]

    def give(self, left: Queue) -> None:
        """Hand over so many architectures that it need not wait."""
        while left and len(self.busy) < AHEAD:
            self.busy.append(left.popleft())
            self.jobs.send(self.busy[-1])

    def send_images(self) -> None:
        """Answer what it asks for."""
        self.images.send(_packed(self.task.samples.load(torch.from_numpy(self.images.recv()))))

    def receive(self) -> tuple[int, Measurement]:
        """What it has measured. Raises `MeasuringError` where it could not, `UserError` where the input is to blame."""
        found = self.jobs.recv()
        if isinstance(found, Measurement):
            return self.busy.popleft()[0], found
        if isinstance(found, UserError):
            raise found
        raise MeasuringError(f"{self.at_work} could not be scored; the process that did said:\n{found}")

    def rest(self) -> Iterator[tuple[int, Measurement]]:
        """What it had still measured before it ended."""
        with suppress(EOFError, ConnectionError):
            while self.busy and self.jobs.poll():
                yield self.receive()

    @property
    def at_work(self) -> str:
        """The text of the architecture that it works at."""
        return self.task.space.format(self.busy[0][1]) if self.busy else "nothing"

    def death(self) -> UserError:
        """What is to be said when it has ended by itself."""
        self.process.join(timeout=10)
        code = self.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return UserError(f"the process that scored {self.at_work} {how}; if memory ran out, use fewer workers")


def begin(factory: EstimatorFactory, task: Task, workers: int, devices: Sequence[torch.device]) -> Iterator[Worker]:
    """So many processes, one after the other, on these devices in turn.

    Raises `UserError` where the estimator cannot be sent to them.
    """
    samples = task.samples
    try:
        # Plain bytes: torch's own way of sending tensors keeps a file open for each.
        parts = factory, task.space, samples.labels, samples.image, samples.num_classes, samples.seed, task.seed
        payload = pickle.dumps(parts)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(f"this estimator cannot be sent to other processes ({error}); use workers=1") from error
    # Forked processes would inherit the locks of torch's threads. These are forked from a server that has none, and
    # that has imported once what they need.
    context = multiprocessing.get_context("forkserver")
    main = getattr(sys.modules["__main__"], "__spec__", None)
    known = [name for name in sys.modules if name.startswith(("search_spaces.", "supernet."))]
    context.set_forkserver_preload([name for name in known if main is None or name != main.name])
    for index in range(workers):
        jobs, their_jobs = context.Pipe()
        images, their_images = context.Pipe()
        device = devices[index % len(devices)]
        process = context.Process(target=_work, args=(payload, str(device), their_jobs, their_images), daemon=True)
        process.start()
        their_jobs.close()
        their_images.close()
        yield Worker(task, process, jobs, images, deque())


def _work(payload: bytes, device: str, jobs: Connection, images: Connection) -> None:
    """What another process does: measure what comes until the pipe ends."""
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # this process's parent answers Ctrl-C, and whoever asks for the end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    with suppress(ConnectionError):  # there is nobody left to tell
        try:
            factory, space, labels, image, num_classes, order, seed = pickle.loads(payload)
            samples = Samples(labels, _Asking(images), image, num_classes, order)
            estimator = factory(Task(space, samples, seed, torch.device(device)))
        except Exception as error:
            jobs.send(_told(error))
            return
        for architecture in iter(lambda: _next(jobs), None):
            try:
                found: Measurement | UserError | str = timed(estimator, architecture)
            except Exception as error:
                found = _told(error)
            jobs.send(found)


def _told(error: Exception) -> UserError | str:
    """What the parent gets of an error: of the user's mistakes the message alone, of others the traceback."""
    return UserError(str(error)) if isinstance(error, UserError) else "".join(traceback.format_exception(error))


def _next(jobs: Connection) -> Architecture | None:
    try:
        _, architecture = jobs.recv()
    except EOFError:
        return None
    return architecture


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@dataclass(frozen=True)
class _Asking:
    """Loads images by asking the parent for them."""

    pipe: Connection

    def __call__(self, positions: Tensor) -> Tensor:
        self.pipe.send(positions.numpy())
        return _unpacked(*self.pipe.recv())


def _packed(images: Tensor) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Images for a pipe, with their strides: by these a convolution chooses its kernel, and so how it rounds."""
    images = images.cpu().clone()
    return images.numpy(), images.stride()


def _unpacked(values: NDArray[Any], strides: tuple[int, ...]) -> Tensor:
    images = torch.from_numpy(values)
    return torch.empty_strided(images.shape, strides, dtype=images.dtype).copy_(images)
