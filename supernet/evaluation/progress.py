"""How far a long task has come and how long the rest will take: a bar, or a line now and then without a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from typing_extensions import Self

T = TypeVar("T")
log = logging.getLogger("supernet")
EVERY = 30.0  # seconds between two lines
MEMORY = 600.0  # seconds that the estimate of the time left looks back, for scores that take long


class Progress:
    """Shows on stderr how many architectures, or other items, are done; a context.

    Args:
        total: how many there are.
        done: how many of them were done before.
        title: what is done with them.
    """

    def __init__(self, total: int, done: int = 0, title: str = "scoring") -> None:
        self.title = title
        self.total = total
        self.done = done
        self._here = 0
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn(title),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=MEMORY,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, completed=done)
        self._start = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self.done:
            log.info("%s: %s of %s are done already", self.title, f"{self.done:,}", f"{self.total:,}")
        self._start = self._said = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One more is done, here or elsewhere."""
        self._here += 1
        self.skip()
        now = time.monotonic()
        if self._bar.disable and now - self._said > EVERY:
            self._said = now
            left = (now - self._start) / self._here * (self.total - self.done)
            log.info("%s: %s of %s, %s left", self.title, f"{self.done:,}", f"{self.total:,}", duration(left))

    def skip(self) -> None:
        """One more is found to have been done before, which says nothing of how long the others take."""
        self.done += 1
        self._bar.advance(self._task)


def watched(items: Sequence[T], title: str) -> Iterator[T]:
    """The items, while `Progress` shows how many are done."""
    with Progress(len(items), title=title) as progress:
        for item in items:
            yield item
            progress.advance()


def duration(seconds: float) -> str:
    """A length of time for people: ``1 h 02 min``, ``3 min 20 s`` or ``45 s``."""
    hours, minutes, rest = int(seconds // 3600), int(seconds % 3600 // 60), int(seconds % 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
