"""``warm_start.json``: what a warm start has found, so that a resumed search does not look again.

``shrinkage.json`` has the same form, and more (`supernet.shrinkage.record`). A run folder may come from somebody else:
the file is read as data, and every value is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor

from search_spaces.architecture import Allowed
from search_spaces.errors import ArchitectureError
from search_spaces.space import SearchSpace
from supernet.errors import UserError
from supernet.files import write_atomically
from supernet.warm_start.base import Effort, Outcome, dropped

Found = TypeVar("Found")
FILE = "warm_start.json"
FORMAT = 1
LARGEST = 64 * 2**20  # bytes; a pool of architectures may be long


def save(
    folder: Path,
    space: SearchSpace,
    outcome: Outcome,
    name: str,
    settings: Mapping[str, Any],
    file: str = FILE,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write the file, atomically.

    Args:
        folder: of the run.
        space: before the warm start.
        outcome: what it has found.
        name: of its configuration.
        settings: its configuration.
        file: its name; without the ending it says what has found it.
        more: plain values to be kept besides.
    """
    effort = outcome.effort
    cells = {
        cell: {
            "edges": [list(edge) for edge in space.edges[cell]],
            "operations": list(names),
            "kept": [_names(names, row) for row in outcome.space.allowed[cell]],
            "dropped": [_names(names, row) for row in space.allowed[cell] & ~outcome.space.allowed[cell]],
            "scores": _plain(outcome.scores, cell),
            "start": _plain(outcome.start, cell),
        }
        for cell, names in space.operations.items()
    }
    pool = outcome.space.pool
    content = {
        "format": FORMAT, Path(file).stem: name, "search_space": space.name, "seconds": effort.seconds,
        "networks": effort.networks, "forwards": effort.forwards, "backwards": effort.backwards,
        "settings": dict(settings), "cells": cells,
        "pool": None if pool is None else [space.format(architecture) for architecture in pool],
        **more,
    }  # fmt: skip
    write_atomically(folder / file, json.dumps(content, indent=1) + "\n")


def load(path: Path, space: SearchSpace) -> Outcome:
    """What was found in this space. Raises `UserError` that says what is wrong with the file."""
    return parsed(path, space, lambda content: outcome_of(content, space))


def parsed(path: Path, space: SearchSpace, parse: Callable[[Any], Found]) -> Found:
    """What is made of the file's content. Raises `UserError` where that cannot be done."""
    what = f"no record of a {path.stem.replace('_', ' ')}"
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path} has {path.stat().st_size:,} bytes: that is {what}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is {what}: {error}") from error
    try:
        return parse(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is {what} of {space.name} ({reason}); delete it to have it made anew") from error


def describe(space: SearchSpace, after: Allowed) -> str:
    """What was dropped, by operation: ``none: 0→1 0→2; avg_pool_3x3: 0→1``, with the cell type where there are two."""
    parts = []
    for cell, pairs in dropped(space.allowed, after).items():
        for index, name in enumerate(space.operations[cell]):
            edges = ["→".join(map(str, space.edges[cell][edge])) for edge, operation in pairs if operation == index]
            if edges:
                parts.append(f"{cell + ' ' if len(space.edges) > 1 else ''}{name}: {' '.join(edges)}")
    return "; ".join(parts) or "nothing"


def outcome_of(content: Any, space: SearchSpace) -> Outcome:
    """The outcome that the file's content describes. Raises ValueError and its like where it describes none."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}, the one this version reads")
    if content["search_space"] != space.name or list(content["cells"]) != list(space.edges):
        raise ValueError(f"it is about {content['search_space']}")
    allowed: dict[str, Tensor] = {}
    tables: dict[str, dict[str, Tensor]] = {"scores": {}, "start": {}}
    for cell, found in content["cells"].items():
        names, shape = space.operations[cell], space.allowed[cell].shape
        if found["operations"] != list(names) or found["edges"] != [list(edge) for edge in space.edges[cell]]:
            raise ValueError(f"{cell} has other edges or operations")
        if len(found["kept"]) != shape[0] or not all(isinstance(row, list) for row in found["kept"]):
            raise ValueError(f"{cell}: 'kept' has not one list for each edge")
        unknown = [name for row in found["kept"] for name in row if name not in names]
        if unknown:
            raise ValueError(f"{cell}: unknown operation {unknown[0]!r}")
        allowed[cell] = torch.tensor([[name in row for name in names] for row in found["kept"]])
        for key, table in tables.items():
            if found[key] is not None:
                table[cell] = _table(found[key], shape, f"{cell}: {key!r}")
    pool = content["pool"]
    try:
        architectures = None if pool is None else [space.parse(text) for text in pool]
    except ArchitectureError as error:
        raise ValueError(f"its pool: {error}") from error
    numbers = [content[key] for key in ("networks", "forwards", "backwards", "seconds")]
    if not all(isinstance(one, int | float) and math.isfinite(one) and one >= 0 for one in numbers):
        raise ValueError("its counts are no numbers")
    for key, table in tables.items():
        if table and len(table) < len(space.edges):
            raise ValueError(f"{key!r} is missing for a cell type")
    return Outcome(
        space.restrict(allowed, architectures), tables["scores"] or None, tables["start"] or None, Effort(*numbers)
    )


def _table(rows: Any, shape: torch.Size, where: str) -> Tensor:
    flat = [value for row in rows for value in row]
    if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
        raise ValueError(f"{where} is no table of {shape[0]} edges and {shape[1]} operations")
    if not all(value is None or (isinstance(value, int | float) and math.isfinite(value)) for value in flat):
        raise ValueError(f"{where} holds what is no number")
    numbers = [torch.nan if value is None else float(value) for value in flat]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def _plain(tables: Mapping[str, Tensor] | None, cell: str) -> list[list[float | None]] | None:
    if tables is None:
        return None
    return [[None if math.isnan(value) else value for value in row] for row in tables[cell].tolist()]


def _names(names: tuple[str, ...], row: Tensor) -> list[str]:
    return [name for name, here in zip(names, row.tolist(), strict=True) if here]
