"""Being asked to end: a scheduler's or a user's signal, noted now and obeyed where everything can be saved."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

log = logging.getLogger("supernet")

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""What schedulers send before they kill: at the end of a job's time, as ``--signal`` asks, and as submitit does."""

NEAR = 900.0
"""Seconds before the end of a job's time in which SIGTERM means that end, and not a user who cancels."""

AT_ONCE = 1.0
"""Seconds in which signals are one request."""

Handler = Callable[[int, FrameType | None], Any] | int | None


class PreemptedError(Exception):
    """The run has saved itself and ends because it was asked to.

    Attributes:
        signal: what asked.
        before: the handler that was there before, which is somebody's who wants to know.
    """

    def __init__(self, number: int, before: Handler = None) -> None:
        super().__init__(f"asked to end by {signal.Signals(number).name}")
        self.signal = number
        self.before = before

    def hand_over(self, folder: Path) -> None:
        """Let whoever runs the job know, so that it is put into the queue again where that was meant.

        submitit does it in its own handler. SLURM is asked to after ``--signal=USR1@120``, or SIGTERM in the last
        quarter of an hour before the job's time is up; a run is found again by its folder, which must be named for it.
        """
        if callable(self.before):
            self.before(self.signal, None)
        elif (job := job_to_requeue(self.signal, os.environ, time.time())) is None:
            return
        elif job not in str(folder):
            log.warning("not put into the queue again, because that would begin a new folder; with "
                        "hydra.run.dir=<folder>/$SLURM_JOB_ID it goes on by itself")  # fmt: skip
        else:
            done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
            log.warning("put into the queue again" if done.returncode == 0 else f"scontrol requeue: {done.stderr}")

    @property
    def status(self) -> int:
        """The exit status that tells of it."""
        return 128 + self.signal


class Requests:
    """Notes such signals, each of which may come more than once.

    SIGUSR1 and SIGUSR2 end a process that does not expect them, so they are for whoever sends them on purpose;
    SIGUSR2 is noted where somebody has a handler for it already.

    Args:
        others: the handlers to hand over to; None for those that are there now.
    """

    def __init__(self, others: dict[int, Handler] | None = None) -> None:
        self.signal: int | None = None
        self._raised = -math.inf
        self._before = others or {number: signal.getsignal(number) for number in SIGNALS}

    def listen(self, at_once: bool = False) -> None:
        """From now on; only a process's main thread can. ``at_once``: the first one interrupts, as Ctrl-C does."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if number != signal.SIGUSR2 or callable(self._before[number]):
                signal.signal(number, self._interrupt if at_once else self._note)

    def ignore(self) -> None:
        """Put back what was there before."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def preempted(self, number: int | None = None) -> PreemptedError:
        """The end that was asked for, here or, with ``number``, elsewhere."""
        number = self.signal or number or signal.SIGTERM
        before = self._before[number]
        return PreemptedError(number, before if callable(before) else None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Once for a request that several send, and again if it is repeated: an exception can be lost in a callback."""
        self.signal, before, self._raised = number, self._raised, time.monotonic()
        if self._raised - before > AT_ONCE:
            raise KeyboardInterrupt


def job_to_requeue(number: int, environment: Mapping[str, str], now: float) -> str | None:
    """The number of the SLURM job that is to be put into the queue again, if any."""
    end = float(environment.get("SLURM_JOB_END_TIME", "inf"))
    meant = number == signal.SIGUSR1 or (number == signal.SIGTERM and end - now < NEAR)
    first = environment.get("SLURM_PROCID", "0") == "0"
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID")
    return job if meant and first else None


def requeued(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a SLURM job that has run before."""
    return int(environment.get("SLURM_RESTART_COUNT", "0")) > 0
