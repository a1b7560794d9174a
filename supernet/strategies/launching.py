"""Starts the worker processes of a run, and sees to it that all of them end well or none goes on.

Lightning would start the others by repeating the command line of the first, which in a Hydra sweep repeats the sweep.
Here every process, the first one too, starts from the folder of its job, where its configuration is; the process of the
user's command only watches. Hence a failure in any of them is an error of that job, and a sweep goes on.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supernet.errors import UserError
from supernet.strategies.places import Places

log = logging.getLogger("supernet")
GRACE = 20.0
"""Seconds that a worker has to end when it is asked to."""
LIFELINE = "SUPERNET_LIFELINE"
FAILURE = "SUPERNET_FAILURE"
RANKS = ("LOCAL_RANK", "RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class WorkerError(UserError):
    """A worker process has failed; the others were stopped."""


@dataclass(frozen=True)
class Order:
    """What the workers are to do.

    Attributes:
        task: ``search`` or ``train``.
        folder: of the run, with its configuration.
        checkpoint: to go on from; None to begin.
    """

    task: str
    folder: str
    checkpoint: str | None


def run_workers(places: Places, order: Order | None, timeout: float) -> None:
    """Start this process's workers and wait until they have ended.

    Args:
        places: where they are.
        order: for the first of them, which tells the others; None where it is started elsewhere.
        timeout: seconds that a process waits for another, in any exchange.

    Raises:
        UserError: where a worker has found a mistake of the user.
        WorkerError: where one has failed, with its number and the reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        failures = [Path(folder) / str(local) for local in places.local]
        reader, writer = os.pipe()
        workers: list[subprocess.Popen[bytes]] = []
        try:
            environment = _environment(places, reader)
            for local, failure in zip(places.local, failures, strict=True):
                first = places.node == 0 and local == 0
                command = [
                    sys.executable, "-m", "supernet.strategies.worker", places.accelerator, str(timeout),
                    *([json.dumps(vars(order))] if first and order is not None else []),
                ]  # fmt: skip
                ranks = {"LOCAL_RANK": str(local), "RANK": str(places.node * len(places.devices) + local)}
                workers.append(
                    subprocess.Popen(
                        command, env={**environment, **ranks, FAILURE: str(failure)}, pass_fds=(reader,)
                    )
                )  # fmt: skip
            _watch(workers)
        except KeyboardInterrupt:  # the terminal has told the workers too: they save what there is to be saved
            _wait(workers, GRACE)
            raise
        finally:
            os.close(writer)  # a worker whose lifeline ends, ends
            os.close(reader)
            _stop(workers)
        _raise(places, workers, failures)


def _environment(places: Places, reader: int) -> dict[str, str]:
    address, port = places.address or ("127.0.0.1", str(_free_port()))
    # Only torchrun's own store is where these say; all others is for the first process to open.
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
        "NODE_RANK": str(places.node),
        "WORLD_SIZE": str(places.size),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        LIFELINE: str(reader),
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _watch(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Return when all have ended, or when one has failed."""
    while True:
        codes = [worker.poll() for worker in workers]
        if any(codes) or all(code is not None for code in codes):
            return
        time.sleep(0.1)


def _wait(workers: Sequence[subprocess.Popen[bytes]], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if all(worker.poll() is not None for worker in workers):
            return True
        time.sleep(0.05)
    return False


def _stop(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    if not _wait(workers, 0.5):
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        if not _wait(workers, GRACE):
            for worker in workers:
                worker.kill()
    for worker in workers:
        worker.wait()


def _raise(places: Places, workers: Sequence[subprocess.Popen[bytes]], failures: Sequence[Path]) -> None:
    """Say why one has failed, if any: one that says so itself, else one that was killed, else any."""
    failed = [number for number, worker in enumerate(workers) if worker.returncode]
    if not failed:
        return
    told = [number for number in failed if failures[number].exists()]
    stopped = (-signal.SIGTERM, *range(1, 256))  # by this process, or for want of another
    killed = [number for number in failed if workers[number].returncode not in stopped]
    number = (told or killed or failed)[0]
    rank = places.node * len(places.devices) + places.local[number]
    who = f"process {rank} of {places.size}"
    if told:
        report = json.loads(failures[number].read_text())
        if report["user"]:
            raise UserError(report["message"])
        raise WorkerError(f"{who} failed: {report['message']}")
    code = workers[number].returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    raise WorkerError(f"{who} {how}; the others were stopped")
