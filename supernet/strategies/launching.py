"""Starts the worker processes of a run, and sees to it that all of them end well or none goes on.

Lightning would start the others by repeating the command line of the first, which in a Hydra sweep repeats the sweep.
Here every process, the first one too, starts from the folder of its job, where its configuration is; the process of the
user's command only watches. Hence a failure in any of them is an error of that job, and a sweep goes on.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from supernet.errors import MEMORY, UserError
from supernet.preemption import SIGNALS, Requests
from supernet.strategies.places import Places

GRACE = 20.0
"""Seconds that a worker has to end after Ctrl-C."""
LAST_WORDS = 5.0
"""Seconds that the others have when one has failed."""
POLL = 0.2
JOB = "supernet_job_"
KEY, LIFELINE, FAILURE = "SUPERNET_JOB", "SUPERNET_LIFELINE", "SUPERNET_FAILURE"
"""Variables that tell a worker where its order is, what its parent holds, and where to say why it has failed."""

_jobs = 0
"""How many times workers were started; the leading processes of all nodes run the same jobs in the same order."""


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
        order: what they are to do, where that is decided here; None to wait for the leading process's.
        timeout: seconds that a process waits for another, in any exchange.

    Raises:
        UserError: where a worker has found a mistake of the user, or the leading process cannot be reached.
        WorkerError: where one has failed, with its number and the reason.
        PreemptedError: where they have ended because they, or this process, were asked to; what they did is saved.
    """
    global _jobs
    store, address, port = meeting_point(places, timeout)
    key, _jobs = f"{JOB}{_jobs}", _jobs + 1
    if order is None:
        _await(store, key)
    else:
        store.set(key, json.dumps(vars(order)))
    requests = Requests()
    with tempfile.TemporaryDirectory() as folder:
        failures = [Path(folder) / str(local) for local in places.local]
        reader, writer = os.pipe()
        workers: list[subprocess.Popen[bytes]] = []
        try:
            requests.listen()
            environment = {**_environment(places, address, port), KEY: key, LIFELINE: str(reader)}
            for local, failure in zip(places.local, failures, strict=True):
                ranks = {"LOCAL_RANK": str(local), "RANK": str(places.node * len(places.devices) + local)}
                arguments = (places.accelerator, str(timeout), str(places.devices[local]))
                workers.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "supernet.strategies.worker", *arguments],
                        env={**environment, **ranks, FAILURE: str(failure)}, pass_fds=(reader,),
                    )
                )  # fmt: skip
            first = _watch(workers, requests)
        except KeyboardInterrupt:  # the terminal has told the workers too: they save what there is to be saved
            _wait(workers, GRACE)
            raise
        finally:
            requests.ignore()
            os.close(writer)  # a worker whose lifeline ends, ends
            os.close(reader)
            _stop(workers)
        told = {number: json.loads(path.read_text()) for number, path in enumerate(failures) if path.exists()}
        asked = [worker.returncode - 128 for worker in workers if worker.returncode - 128 in SIGNALS]
        if not told and (asked or requests.signal is not None) and any(worker.returncode for worker in workers):
            raise requests.preempted(next(iter(asked), None))
        _raise(places, workers, first, told)


def meeting_point(places: Places, timeout: float) -> tuple[Any, str, int]:
    """The store that the leading process keeps for all, and where it is; torchrun keeps one itself.

    It stays open as long as this process lives: others wait there as long as it takes the leading one to come to the
    training, and learn at once when that has died.
    """
    host, port = places.address or ("127.0.0.1", "0")
    return _store(host, int(port), places.leads and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True", timeout)


@functools.cache
def _store(host: str, port: int, ours: bool, timeout: float) -> tuple[Any, str, int]:
    limit = timedelta(seconds=timeout)
    try:
        store = dist.TCPStore(host, port, is_master=ours, timeout=limit, wait_for_workers=False)  # type: ignore[attr-defined]
    except (RuntimeError, ValueError) as error:
        if ours:
            raise UserError(f"MASTER_PORT={port} cannot be used on this node, choose another ({error})") from error
        raise UserError(
            f"the first node, {host}:{port}, was not there after {timeout:g} s; see that the command runs there too, "
            "with the same MASTER_ADDR and MASTER_PORT, and that this node can reach it"
        ) from error
    return store, host, store.port


def _await(store: Any, key: str) -> None:
    """Wait for the leading process to come to the training."""
    try:
        while not store.check([key]):
            time.sleep(POLL)
    except RuntimeError as error:
        raise WorkerError("the first node has ended; its own message says why") from error


def _environment(places: Places, address: str, port: int) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "NODE_RANK": str(places.node),
        "WORLD_SIZE": str(places.size),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def _watch(workers: Sequence[subprocess.Popen[bytes]], requests: Requests) -> list[int]:
    """Return when all have ended, or when some have failed: their numbers. Pass on a request to end."""
    passed_on = False
    while True:
        codes = [worker.poll() for worker in workers]
        failed = [number for number, code in enumerate(codes) if code]
        if all(code is not None for code in codes):
            return failed
        if failed and not all((codes[number] or 0) - 128 in SIGNALS for number in failed):
            return failed  # after a request they all end, the last of them when it has saved
        if requests.signal is not None and not passed_on:
            passed_on = True
            for worker in workers:
                if worker.poll() is None:
                    worker.send_signal(signal.SIGTERM)
        time.sleep(0.1)


def _wait(workers: Sequence[subprocess.Popen[bytes]], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if all(worker.poll() is not None for worker in workers):
            return True
        time.sleep(0.05)
    return False


def _stop(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that have not ended; without the others none can do or save anything more."""
    if not _wait(workers, LAST_WORDS):
        for worker in workers:
            worker.kill()
    for worker in workers:
        worker.wait()


def _raise(
    places: Places, workers: Sequence[subprocess.Popen[bytes]], first: Sequence[int], told: Mapping[int, dict[str, Any]]
) -> None:
    """Say why one has failed, if any: one that says so itself, else one of the first to end."""
    failed = [*told, *(number for number in first if workers[number].returncode < 0), *first]
    if not failed:
        return
    number = failed[0]
    who = f"process {places.node * len(places.devices) + places.local[number]} of {places.size}"
    if number in told:
        if told[number]["user"]:
            raise UserError(told[number]["message"])
        if "system" in told[number]:  # a full disk, a folder that may not be written
            raise OSError(*told[number]["system"])
        raise WorkerError(f"{who} failed: {told[number]['message']}")
    code = workers[number].returncode
    if code == -signal.SIGKILL:
        raise WorkerError(f"{who} was ended by SIGKILL; if you did not, the system ran out of memory: {MEMORY}")
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    raise WorkerError(f"{who} {how}; the others were stopped")
