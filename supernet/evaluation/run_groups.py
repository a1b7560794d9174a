"""Runs that only chance tells apart, with mean and deviation of what they have measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supernet.evaluation.runs import Outcome


@dataclass(frozen=True)
class Group:
    """Runs that only chance tells apart.

    Attributes:
        settings: what was changed for them and not for all runs, by name.
        runs: all of them.
    """

    settings: Mapping[str, str]
    runs: tuple[Outcome, ...]

    @property
    def name(self) -> str:
        """The settings in a line."""
        return " ".join(f"{key}={brief(value)}" if value else key for key, value in self.settings.items()) or "all"

    @property
    def finished(self) -> tuple[Outcome, ...]:
        """Those that have a result."""
        return tuple(run for run in self.runs if run.state == "finished")

    @property
    def objective(self) -> str:
        """What the runs are judged by, empty where none has finished."""
        return next((run.objective for run in self.finished if run.objective), "")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all that was measured."""
        return tuple(dict.fromkeys(name for run in self.finished for name in run.metrics))

    def values(self, metric: str) -> list[float]:
        """What the runs that have it have measured."""
        return [run.metrics[metric] for run in self.finished if metric in run.metrics]

    def mean(self, metric: str) -> float:
        """Not a number where nobody has measured it."""
        values = self.values(metric)
        return math.fsum(values) / len(values) if values else math.nan

    def deviation(self, metric: str) -> float:
        """That of the sample, with n - 1; not a number for fewer than two values."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else math.nan


def grouped(runs: Sequence[Outcome]) -> list[Group]:
    """The runs by what was changed for them other than the seed, the best mean of the objective first."""
    members: dict[tuple[str, ...], list[Outcome]] = {}
    for run in runs:
        members.setdefault(run.settings, []).append(run)
    common = set.intersection(*map(set, members)) if len(members) > 1 else set().union(*members)
    groups = []
    for own in members.values():
        pairs = (one.partition("=") for one in own[0].changes if one in set(own[0].settings) - common)
        groups.append(Group({key.lstrip("+"): value for key, _, value in pairs}, tuple(own)))
    return sorted(groups, key=_rank)


def _rank(group: Group) -> tuple[bool, float]:
    mean = group.mean(group.objective)
    return math.isnan(mean), mean if group.objective.startswith("loss") else -mean


def brief(value: str) -> str:
    """The text of a setting, a long number with four digits."""
    try:
        return f"{float(value):.4g}" if len(value) > 6 else value
    except ValueError:
        return value
