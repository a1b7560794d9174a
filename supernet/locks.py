"""Files that one process holds at a time, until it lets go or has ended in any way."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def lock(file: TextIO, wait: bool = False) -> bool:
    """Hold an open file until it is closed; False where another process does. Whether to wait until that lets go.

    On a file system without locks nobody is kept away.
    """
    with contextlib.suppress(OSError):
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a file that is there for nothing else; False where another process does. It goes in the end."""
    while True:
        with path.open("a") as file:  # on NFS only what can be written can be held
            if not lock(file):
                yield False
                return
            if not _is(file, path):  # whoever had it has let it go in this moment
                continue
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return


def _is(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
