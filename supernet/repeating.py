"""A sweep is started again with what it was told first: its record is read, and repeated where that can do no harm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from supernet.compose import check_harmless, known_targets
from supernet.errors import UserError
from supernet.sweeps import SWEEP, read_record

HARMLESS = re.compile(
    r"hydra/(launcher|sweeper|sweeper/sampler)=[\w-]+"
    r"|hydra\.(launcher|sweeper)\.(?!.*(_target_|custom_search_space|setup|additional_parameters))"
    r"[\w.\\]+=[\w.:,+()\[\] '-]*"
    r"|hydra\.sweep\.subdir=([\w.,=-]|\$\{hydra[:.][\w.]+\})*"
)
"""Choices and plain values for launcher and sweeper: what of Hydra's own settings is taken from a file."""


def repeated(folder: Path, arguments: Sequence[str], configurations: Iterable[Path]) -> list[str]:
    """The arguments that start a sweep again: the first ones, and those given now, which say how it runs.

    Args:
        folder: of the sweep.
        arguments: the command line; of settings only Hydra's own.
        configurations: the folders of configuration files, which say what code a record may name.

    Raises:
        UserError: for other settings, and for a record that could do harm: a folder may come from somebody else.
    """
    given = [one for one in arguments if not one.startswith("resume=") and one not in ("-m", "--multirun")]
    others = [one for one in given if _key(one) and not _key(one).startswith(("hydra.", "hydra/"))]
    if others:
        raise UserError(f"resume repeats a sweep as it was; drop {' '.join(others)}, or start a new sweep with it")
    first, path = read_record(folder), folder / SWEEP
    task = [str(one) for one in first["task"]]
    _check_overrides(task, known_targets(configurations), path)
    kept = []
    replaced = {_key(one) for one in given}
    for one in map(str, first["hydra"]):
        key = _key(one)
        launcher_replaced = "hydra/launcher" in replaced and key.startswith("hydra.launcher.")
        if key in replaced or launcher_replaced or key in ("hydra.mode", "hydra.sweep.dir"):
            continue
        if not HARMLESS.fullmatch(one):
            raise UserError(f"{path} holds {one}, which is not taken from a file: give {key}= again")
        kept.append(one)
    place = str(folder.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return ["--multirun", *task, *kept, *given, f'hydra.sweep.dir="{place}"']


def _key(argument: str) -> str:
    """The setting that an argument gives, empty for an option."""
    return "" if argument.startswith("-") else argument.partition("=")[0].lstrip("+~") if "=" in argument else ""


def _check_overrides(overrides: Sequence[str], known: set[str], path: Path) -> None:
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise UserError(f"{path} holds no settings: {' '.join(str(error).split())}") from error
    for one in parsed:
        if one.is_sweep_override():
            values: list[Any] = list(one.sweep_iterator()) if one.is_discrete_sweep() else []
        else:
            values = [one.value()]
        for value in values:
            text = getattr(value, "text", value)  # of a quoted string
            check_harmless({one.key_or_group.rpartition(".")[2]: text}, known, path)
