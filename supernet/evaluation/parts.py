"""The parts of an evaluation: processes, on any nodes, that have nothing in common but the folder of the run.

There, in ``parts/``, the first process says every second at which stage it is, under a name that is new for every
attempt. Another one takes part when it has seen that change, so never in an attempt whose first process has ended. It
appends what it measures to a file of its own in the attempt's folder (`supernet.evaluation.claims` says who measures
what), and is done when nothing is left to take. The first collects the files, and alone waits for others in the end.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

from typing_extensions import Self

from supernet.errors import UserError
from supernet.evaluation.claims import Claims, owners
from supernet.evaluation.scores import Measurement, Scores
from supernet.evaluation.workers import Numbered
from supernet.files import shown, write_atomically

PARTS, STATE = "parts", "first.json"
EVERY = 1.0  # seconds between two looks at, or words of, other processes
TASK, CLAIMS, FAILED = "left.json", "claims", ".failed"


def started(process: str = "self") -> float:
    """When a process was started, by the clock; where the system does not tell, now."""
    with suppress(OSError, AttributeError, ValueError, IndexError):
        ticks = int(Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[19])
        ago = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return min(time.time(), time.time() - ago)
    return time.time()


BEGUN = started()
"""When this process was started; what it imports takes seconds."""

Stage = Literal["preparing", "open", "done", "failed"]


class AbsentError(UserError):
    """The first process did not come up in time."""


@dataclass(frozen=True)
class State:
    """What the first process says of itself; ``beat`` changes as long as it lives."""

    attempt: str
    stage: Stage
    beat: int = 0
    message: str = ""


class Part:
    """One of the processes; a context, in which it tells the others of its failure.

    Args:
        folder: of the run.
        number: of this process.
        parts: how many there are.
        attempt: the name of this attempt.
    """

    def __init__(self, folder: Path, number: int, parts: int, attempt: str) -> None:
        self.folder, self.number, self.parts, self.attempt = folder, number, parts, attempt
        self.name = f"process {number} of {parts}"
        self._checked = time.monotonic()

    @property
    def place(self) -> Path:
        """The folder of the attempt."""
        return self.folder / PARTS / self.attempt

    @property
    def file(self) -> Path:
        """This process's own, of what it has measured."""
        return self.place / f"{self.number}.csv"

    def left(self, architectures: Sequence[Numbered]) -> list[Numbered]:
        """Those of all architectures that this attempt has to measure."""
        numbers = set(json.loads((self.place / TASK).read_text()))
        return [one for one in architectures if one[0] in numbers]

    def queue(self, left: Sequence[Numbered]) -> Claims:
        """What this process may take of them."""
        who = f"{self.name} ({socket.gethostname()})"
        return Claims(self.place / CLAIMS, left, self.number, self.parts, who, self.check)

    def check(self) -> None:
        """Raise `UserError` where there is no sense in going on; looks at the folder once a second at most."""
        if time.monotonic() - self._checked > EVERY:
            self._checked = time.monotonic()
            self.look()

    def look(self) -> None:
        """Raise `UserError` where the first process has given up, or has begun anew without this one."""
        state = told(self.folder)
        if state is None or (state.attempt == self.attempt and state.stage != "failed"):
            return
        if state.attempt != self.attempt:
            raise UserError(f"process 0 of {self.parts} was started again, without this one")
        raise UserError(f"process 0 of {self.parts} failed: {state.message}{_remedy(self.folder, state.message)}")

    def over(self) -> bool:
        """Whether everything was scored."""
        state = told(self.folder)
        return state is not None and state.attempt == self.attempt and state.stage == "done"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and self.place.is_dir():
            write_atomically(self.place / f"{self.number}{FAILED}", said(error))


class First(Part):
    """The first of the processes, which collects what all have measured.

    Args:
        folder: of the run.
        parts: how many processes there are.
        timeout: seconds that it waits for any architecture that another has taken.
    """

    def __init__(self, folder: Path, parts: int, timeout: float) -> None:
        super().__init__(folder, 0, parts, secrets.token_hex(4))
        self.timeout = timeout
        self._state = State(self.attempt, "preparing")
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        """Begin to speak; raises `UserError` where another one does."""
        alone(self.folder)
        (self.folder / PARTS).mkdir(exist_ok=True)
        self._say()
        self._beats.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._beats.join()
        self._say("done" if error is None else "failed", "" if error is None else said(error))
        if error is None:
            shutil.rmtree(self.place, ignore_errors=True)

    def open(self, left: Sequence[int]) -> None:
        """Let the others begin, with the architectures of these numbers."""
        (self.place / CLAIMS).mkdir(parents=True)
        write_atomically(self.place / TASK, json.dumps(list(left)))
        self._say("open")

    def look(self) -> None:
        """Raise `UserError` where another process has failed, or takes itself for the first too."""
        state = told(self.folder)
        if state is not None and state.attempt != self.attempt:
            raise UserError(_twice(self.folder))
        for path in sorted(self.place.glob(f"*{FAILED}")):
            message = path.read_text()
            who = f"process {path.name.removesuffix(FAILED)} of {self.parts}"
            raise UserError(f"{who} failed: {message}{_remedy(self.folder, message)}")

    def others(self, names: Sequence[str]) -> list[Scores]:
        """The files of the others, some of which may not be there yet."""
        return [Scores(self.place / f"{number}.csv", names) for number in range(1, self.parts)]

    def absent(self) -> list[int]:
        """The processes that have never come up."""
        return [number for number in range(1, self.parts) if not (self.place / f"{number}.csv").exists()]

    def missing(self, left: Sequence[Numbered], numbers: set[int]) -> UserError:
        """What is to be said when these architectures were waited for in vain."""
        known = owners(self.place / CLAIMS, left, self.parts)
        names = sorted({known[number] or "a process that did not say its name" for number in numbers})
        return UserError(
            f"{len(numbers):,} architectures are missing that {', '.join(names)} began to score; nothing came for "
            f"{self.timeout:g} seconds (timeout). What is scored is kept{_remedy(self.folder)}"
        )

    def _beat(self) -> None:
        while not self._ended.wait(EVERY):
            with suppress(OSError):  # who waits for it has a limit
                self._say()

    def _say(self, stage: Stage | None = None, message: str = "") -> None:
        with self._lock:
            stage = self._state.stage if stage is None else stage
            self._state = replace(self._state, stage=stage, beat=self._state.beat + 1, message=message)
            write_atomically(self.folder / PARTS / STATE, json.dumps(asdict(self._state)))


def arriving(
    first: First,
    names: Sequence[str],
    left: Sequence[Numbered],
    texts: Sequence[str],
    own: Iterator[tuple[int, Measurement]],
) -> Iterator[tuple[int, Measurement]]:
    """What this process measures and what the others have written, as it comes, each architecture once.

    Raises `UserError` where another process has failed, or has written nothing for the time that is waited.
    """
    numbers = {texts[number]: number for number, _ in left}
    pending = set(numbers.values())
    files = first.others(names)

    def written() -> Iterator[tuple[int, Measurement]]:
        for file in files:
            for text, one in file.further().items():
                if numbers.get(text) in pending:
                    pending.remove(numbers[text])
                    yield numbers[text], one
        if pending:
            first.check()

    looked = time.monotonic()
    for number, one in own:
        pending.discard(number)
        yield number, one
        if time.monotonic() - looked > EVERY:
            yield from written()
            looked = time.monotonic()
    last = time.monotonic()
    while pending:
        before = len(pending)
        yield from written()
        if len(pending) < before:
            last = time.monotonic()
        elif time.monotonic() - last > first.timeout:
            raise first.missing(left, pending)
        else:
            time.sleep(min(EVERY, first.timeout) / 5)


def join(folder: Path, number: int, parts: int, timeout: float) -> Part | None:
    """Take part when the first process lets the others begin; None where all is done already.

    Raises:
        AbsentError: where that does not happen in time.
        UserError: where the first process has failed, or a process of this number takes part already.
    """
    before, end = told(folder), time.monotonic() + timeout
    while time.monotonic() < end:
        recent, state = (
            _recent(folder),
            told(folder),
        )  # in this order: what is read is not older than what was looked at
        if state is not None and state.stage == "done":
            return None
        if state is not None and state.stage == "failed" and (state != before or recent):
            raise UserError(f"process 0 of {parts} failed: {state.message}")
        if state is not None and state != before and state.stage == "open":
            part = Part(folder, number, parts, state.attempt)
            try:
                part.file.touch(exist_ok=False)
            except FileExistsError:
                raise UserError(
                    f"{part.name} takes part in {shown(folder)} already: give each its own number (NODE_RANK); if "
                    f"it was lost and this is to be in its place, wait for the end{_remedy(folder)}"
                ) from None
            except FileNotFoundError:  # all is done in this moment
                continue
            return part
        time.sleep(EVERY / 5)
    raise AbsentError(
        f"process 0 of {parts} has not begun to score in {shown(folder)} for {timeout:g} seconds (timeout); start it "
        f"too, with the same folder{_remedy(folder) if before is not None else ''}"
    )


def alone(folder: Path) -> None:
    """Raise `UserError` where a first process is at work in this folder."""
    before, end = told(folder), time.monotonic() + 3 * EVERY
    while before is not None and before.stage in ("preparing", "open") and time.monotonic() < end:
        time.sleep(EVERY / 5)
        if told(folder) != before:
            raise UserError(_twice(folder))


def told(folder: Path) -> State | None:
    """What the first process has said last."""
    try:
        return State(**json.loads((folder / PARTS / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def collected(file: Scores, names: Sequence[str]) -> dict[str, Measurement]:
    """What was scored so far, by the architecture's text; what parts of an earlier attempt left goes to the file."""
    found, parts = file.read(), file.path.parent / PARTS
    left = sorted(parts.glob("*/*.csv"))
    for path in left:
        found |= Scores(path, names).read()
    if left:
        file.keep(found)
    for path in parts.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
    return found


def begun(folder: Path) -> bool:
    """Whether parts of an evaluation have left something in the folder of a run."""
    return any((folder / PARTS).glob("*/*.csv"))


def said(error: BaseException) -> str:
    """An error in one line; of a report with a traceback, the first line and the last."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was interrupted"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def _recent(folder: Path) -> bool:
    """Whether the first process spoke since this one was started, which an earlier run of a sweep may have kept."""
    with suppress(OSError):
        return (folder / PARTS / STATE).stat().st_mtime > BEGUN
    return False


def _twice(folder: Path) -> str:
    return f"process 0 of another command is at work in {shown(folder)}: give each its own number (NODE_RANK)"


def _remedy(folder: Path, message: str = "") -> str:
    return "" if "resume=" in message else f"; go on with resume={shown(folder)}, on as many nodes as you like"
