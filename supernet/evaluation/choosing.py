"""Which architectures are scored: some drawn at random, all of a space, or those that a file names."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, get_args

import torch

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.space import SearchSpace
from supernet.errors import UserError
from supernet.evaluation.classes import first_of_each
from supernet.files import read_table, write_atomically

Filter = Literal["none", "valid", "no_dangling", "unique"]
"""Every architecture; those whose output depends on the input; those without operations that lead nowhere; one of each
class that the benchmark's authors take for one."""

LISTED = 100_000
"""Spaces up to this size are listed to draw from; from larger ones architectures are drawn until they suffice."""
ATTEMPTS = 1000
"""How many draws an architecture may take there."""


def chosen(text: str, space: SearchSpace, seed: int, only: str = "none") -> list[Architecture]:
    """The architectures that ``architectures=`` names and the filter lets pass, each once.

    Args:
        text: a number of at least 2 to draw, ``all``, or a csv file with a column ``arch``.
        space: what they belong to.
        seed: determines which are drawn.
        only: the filter.

    Raises `UserError` where they are fewer than two, or fewer than were asked for.
    """
    accept = accepting(space, only)
    if text.isdecimal() and int(text) >= 2:
        return drawn(int(text), space, seed, accept)
    if text == "all":
        try:
            found = [one for one in space.enumerate() if accept(one)]
        except ValueError as error:
            raise UserError(f"architectures=all: {error}") from error
    else:
        found = [one for one in dict.fromkeys(read(text, space)) if accept(one)]
    if len(found) < 2:
        raise UserError(f"architectures={text} names {len(found)} architectures: a ranking needs at least two")
    return found


def accepting(space: SearchSpace, only: str) -> Callable[[Architecture], bool]:
    """The filter of this name. Raises `UserError` where the space does not have it."""
    if only not in get_args(Filter):
        raise UserError(f"filter={only}: it must be one of {', '.join(get_args(Filter))}")
    if only == "none":
        return lambda architecture: True
    if only == "valid":
        return space.is_valid
    if only == "unique":
        return first_of_each(space)
    accept: Callable[[Architecture], bool] | None = getattr(space, "has_no_dangling_operation", None)
    if accept is None:
        raise UserError(
            f"filter=no_dangling: {space.name} does not say which operations lead nowhere; use filter=valid"
        )
    return accept


def drawn(count: int, space: SearchSpace, seed: int, accept: Callable[[Architecture], bool]) -> list[Architecture]:
    """So many different architectures, every set of them equally likely. Raises `UserError` where there are fewer."""
    generator = torch.Generator().manual_seed(seed)
    if space.size() <= LISTED:
        candidates = [one for one in space.enumerate() if accept(one)]
        order = torch.randperm(len(candidates), generator=generator).tolist()
        found = [candidates[index] for index in order[:count]]
    else:
        found = list(_several(count, space, generator, accept))
    if len(found) < count:
        raise UserError(f"architectures={count}, but {space.name} was found to have only {len(found)} to choose from")
    return found


def _several(
    count: int, space: SearchSpace, generator: torch.Generator, accept: Callable[[Architecture], bool]
) -> Iterable[Architecture]:
    found: dict[Architecture, None] = {}
    for _ in range(ATTEMPTS):
        found |= dict.fromkeys(one for one in space.sample(count, generator) if accept(one))
        if len(found) >= count:
            break
    return list(found)[:count]


def read(text: str, space: SearchSpace) -> list[Architecture]:
    """The architectures in the column ``arch`` of a csv file. Raises `UserError` that names the line."""
    path = Path(text).expanduser()
    if not path.is_file():
        absent = "there is no such file; " if text.endswith(".csv") else ""
        raise UserError(
            f"architectures={text}: {absent}give a number of at least 2, `all`, or a csv file with a column `arch`"
        )
    found = []
    for line, row in read_table(path, ["arch"]):
        try:
            found.append(space.parse(row["arch"]))
        except ArchitectureError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
    return found


def write(path: Path, architectures: Iterable[Architecture], space: SearchSpace) -> None:
    """A csv file that `read` reads back."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["arch"], *([space.format(one)] for one in architectures)])
    write_atomically(path, file.getvalue())
