"""Files that are whole or not there, and paths as a user types them."""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from supernet.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, also after a crash, sees the old content or the new one, never a part."""
    content = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name is on disk too
    finally:
        os.close(folder)


def shown(path: Path) -> str:
    """A path as a user would type it: relative to the working folder where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """A user's text file, with line ends and a byte-order mark as it comes. Raises `UserError` where it is none."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8: save it as that") from error


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The lines of a user's csv file, by number, with what they have in some columns; blank ones are passed over.

    Raises `UserError` that names the line where it is no such file.
    """
    with open_text(path) as file:
        reader = csv.reader(file, skipinitialspace=True)
        rows = (row for row in reader if any(map(str.strip, row)))
        try:
            header = [name.strip() for name in next(rows, [])]
            for name in columns:
                if name not in header:
                    there = ", ".join(map(repr, header)) or "none"
                    raise UserError(f"{path} has no column `{name}`; its columns, separated by commas, are {there}")
            for row in rows:
                cells = dict(zip(header, map(str.strip, row), strict=False))
                yield reader.line_num, {name: cells.get(name, "") for name in columns}
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: {error}") from error
