"""Who measures what, where several parts share an evaluation: each takes the next few as soon as it has done its last.

So neither costly architectures nor slow or late parts keep the others waiting for long. A part takes architectures by
creating a file, which file systems, also those of a network, let exactly one process do; nothing is locked.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from supernet.evaluation.workers import Numbered

TIMES = 100
"""How often a part of average speed takes some: what the last of them takes is what the others may wait for."""


class Claims:
    """The architectures that this part may measure next, a queue that is filled while it is emptied.

    Those that are left are divided into chunks. Each part takes them from its own section, in order, and when that is
    taken goes on through the sections of the others.

    Args:
        folder: of the files, one for each chunk that is taken; it holds who has taken it.
        left: what all parts have to measure; the same for all.
        part: the number of this one.
        parts: how many there are.
        who: what this part is called.
        check: called before a chunk is taken; raises where there is no sense in going on.
    """

    def __init__(
        self, folder: Path, left: Sequence[Numbered], part: int, parts: int, who: str, check: Callable[[], None]
    ) -> None:
        self._folder, self._parts, self._who, self._check = folder, parts, who, check
        chunks = list(enumerate(chunked(left, parts)))
        start = part * len(chunks) // parts
        self._chunks = deque(chunks[start:] + chunks[:start])
        self._mine: deque[Numbered] = deque()
        self._untried = len(left)

    def __bool__(self) -> bool:
        """Whether there is a next one; takes it where needed."""
        while not self._mine and self._chunks:
            self._check()
            number, chunk = self._chunks.popleft()
            self._untried -= len(chunk)
            if self._take(number):
                self._mine.extend(chunk)
        return bool(self._mine)

    def __len__(self) -> int:
        """About how many this part will measure: its share of what may be free."""
        return len(self._mine) + -(-self._untried // self._parts)

    def popleft(self) -> Numbered:
        """The next one."""
        return self._mine.popleft()

    def _take(self, number: int) -> bool:
        try:
            file = os.open(self._folder / str(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except (FileExistsError, FileNotFoundError):  # taken, or all are measured and the folder has gone
            return False
        try:
            os.write(file, self._who.encode())
        finally:
            os.close(file)
        return True


def chunked(left: Sequence[Numbered], parts: int) -> list[Sequence[Numbered]]:
    """What is left, in order, in pieces that are taken as a whole."""
    size = max(1, len(left) // (TIMES * parts))
    return [left[start : start + size] for start in range(0, len(left), size)]


def owners(folder: Path, left: Sequence[Numbered], parts: int) -> dict[int, str]:
    """By the number of each architecture who has taken it; nobody is ``""``."""
    found: dict[int, str] = {}
    for number, chunk in enumerate(chunked(left, parts)):
        try:
            who = (folder / str(number)).read_text()
        except FileNotFoundError:
            who = ""
        found |= {one: who for one, _ in chunk}
    return found
