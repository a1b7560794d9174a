"""The runs in a folder, read as data: what was changed for each, how it ended, and what it has measured."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from supernet.failures import read_failure
from supernet.genotype import numbers

JOB = "job.json"
"""In the folder of a sweep's job: what was changed for it. Hydra's own record is rewritten when the job goes on."""
NOT_SETTINGS = ("seed=", "sweep=", "log_dir=", "resume=", "data.download=")
"""What is no setting that two runs differ by: chance, where they are, and how they were started."""


@dataclass(frozen=True)
class Outcome:
    """A run and how it ended.

    Attributes:
        folder: its name.
        changes: the settings that were given for it.
        state: ``finished``, ``failed`` or ``unfinished``.
        objective: the name of what a sweep optimises, of a finished run.
        metrics: what it has measured, by name; of a finished run.
        reason: why it has failed.
    """

    folder: str
    changes: tuple[str, ...]
    state: str
    objective: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def value(self) -> float:
        """Of the objective; not a number where the run did not finish."""
        return self.metrics.get(self.objective or "", math.nan)

    @property
    def seed(self) -> str:
        """As it was given, empty where it was not."""
        return next((one.partition("=")[2] for one in reversed(self.changes) if one.startswith("seed=")), "")

    @property
    def settings(self) -> tuple[str, ...]:
        """What was changed other than the seed, in no order of importance."""
        return tuple(sorted(one for one in set(self.changes) if not one.startswith(NOT_SETTINGS)))


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs in a folder, the tenth after the second; hidden ones are not looked at."""
    found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(found, key=lambda path: (len(path.name), path.name))


def changes(run: Path) -> list[str]:
    """The settings that were given for a run; its name where there is no record of them."""
    job, hydra = run / JOB, run / ".hydra" / "overrides.yaml"
    try:
        if job.is_file():
            return [str(item) for item in json.loads(job.read_text())["overrides"]]
        if hydra.is_file():
            return [str(item) for item in yaml.safe_load(hydra.read_text()) or []]
    except (ValueError, TypeError, KeyError, yaml.YAMLError):  # torn by a crash
        pass
    return [run.name]


def distinct(given: Sequence[Sequence[str]]) -> list[str]:
    """What was changed for each run and not for all."""
    common = set.intersection(*map(set, given)) if len(given) > 1 else set()
    named = [" ".join(one for one in own if one not in common) for own in given]
    return [name or f"run {index}" for index, name in enumerate(named)]


def outcomes(folder: Path) -> list[Outcome]:
    """The searches and trainings in a folder; what is no run of either is passed over."""
    found = []
    for path in run_folders(folder):
        files = {entry.name for entry in path.iterdir()}
        if files & {JOB, ".hydra", "config.yaml", "genotype.json", "metrics.json"} and not _is_another(path):
            found.append(outcome(path))
    return found


def _is_another(run: Path) -> bool:
    """Whether a run is known to be one of an evaluation or a fit."""
    try:
        named = re.search(r"^task_name: (\w+)", (run / "config.yaml").read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return False
    return named is not None and named[1] not in ("search", "train")


def outcome(run: Path) -> Outcome:
    """How one run ended. A run that has finished has, whatever happened before."""
    given = tuple(changes(run))
    try:
        if (result := _result(run)) is not None:
            return Outcome(run.name, given, "finished", *result)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Outcome(run.name, given, "failed", reason=f"its result cannot be read: {type(error).__name__}: {error}")
    if (reason := read_failure(run)) is not None:
        return Outcome(run.name, given, "failed", reason=reason)
    return Outcome(run.name, given, "unfinished")


def _result(run: Path) -> tuple[str, dict[str, float]] | None:
    genotype, metrics = run / "genotype.json", run / "metrics.json"
    if genotype.is_file():
        content = json.loads(genotype.read_text())
        objective, found = str(content["config"]["objective"]), _numbers(numbers(content["metrics"]))
    elif metrics.is_file():
        objective, found = "test_accuracy", _numbers(json.loads(metrics.read_text()))
    else:
        return None
    if objective not in found:
        raise KeyError(objective)
    return objective, found


def _numbers(content: Mapping[str, Any]) -> dict[str, float]:
    return {
        str(name): float(value)
        for name, value in content.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
