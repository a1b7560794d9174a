"""Many runs in one table: mean and deviation over the seeds of everything else that was changed."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from supernet.evaluation.run_groups import Group, brief

BENCHMARK = "benchmark/"
WIDEST = 4


def columns(groups: Sequence[Group]) -> list[str]:
    """The metrics that are shown: what the runs are judged by, and the accuracies that a table has recorded."""
    every = list(dict.fromkeys(name for group in groups for name in group.metrics))
    objectives = list(dict.fromkeys(group.objective for group in groups if group.objective))
    return [*objectives, *(name for name in every if name.startswith(BENCHMARK))]


def factor(metric: str) -> float:
    """What makes percent of a share of images."""
    return 100.0 if metric.startswith(("accuracy/", "test_", "selection/accuracy")) else 1.0


def setting_names(groups: Sequence[Group]) -> list[str]:
    """The settings that have a column of their own: all, unless they are too many to stand side by side."""
    names = list(dict.fromkeys(key for group in groups for key in group.settings))
    return names if len(names) <= WIDEST else []


def title(metric: str) -> str:
    """A metric as it stands above a column."""
    if metric.startswith(BENCHMARK):
        return f"table: {metric.removeprefix(BENCHMARK)} [%]"
    return f"{metric} [%]" if factor(metric) == 100 else metric


def shown(group: Group, metric: str) -> str:
    """Mean and deviation."""
    mean, deviation = factor(metric) * group.mean(metric), factor(metric) * group.deviation(metric)
    if math.isnan(mean):
        return "-"
    form = ".2f" if title(metric).endswith("[%]") else ".4g"
    return format(mean, form) if math.isnan(deviation) else f"{mean:{form}} ± {deviation:{form}}"


def described(group: Group, names: Sequence[str]) -> list[str]:
    """What the group is called, in one cell or in one for each of these settings."""
    return [brief(group.settings.get(name, "")) for name in names] if names else [group.name]


def cells(groups: Sequence[Group], metrics: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of a table with these metrics."""
    names = setting_names(groups)
    rows = []
    for group in groups:
        counts = f"{len(group.finished)} of {len(group.runs)}"
        seconds = group.mean("seconds")
        time = "-" if math.isnan(seconds) else duration(seconds)
        rows.append([*described(group, names), counts, *(shown(group, name) for name in metrics), time])
    return [*(names or ["changed"]), "runs", *map(title, metrics), "time"], rows


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def table(groups: Sequence[Group], width: int) -> Table:
    """For a screen of this many letters: where it is narrow, in more lines, and without accuracies of the table."""
    metrics = columns(groups)
    for narrow, count in [(False, len(metrics)), *((True, count) for count in range(len(metrics), 0, -1))]:
        found = _table(groups, metrics[:count], narrow)
        if Console(width=10 * width).measure(found).maximum <= width:
            return found
    return _table(groups, metrics[:1], True)


def _table(groups: Sequence[Group], metrics: Sequence[str], narrow: bool) -> Table:
    heading, rows = cells(groups, metrics)
    left_out = len(columns(groups)) - len(metrics)
    below = legend(groups) + (f"; summary.md also has {left_out} of the table's accuracies" if left_out else "")
    found = Table(title=headline(groups), title_justify="left", caption=below, caption_justify="left")
    settings = len(setting_names(groups)) or 1
    for index, name in enumerate(heading):
        if index >= settings:
            broken = re.sub(r"(?<=[/:]) ?| (?=\[)", "\n", name)
            found.add_column(escape(broken), justify="right", no_wrap=True)
        else:
            broken = re.sub(r"(?<=[._])", "\n", name) if narrow else name
            longest = max(map(len, [*broken.split("\n"), *(row[index] for row in rows)]))
            found.add_column(escape(broken), overflow="fold", width=min(24, longest) if narrow else None)
    for row in rows:
        found.add_row(*(escape(cell.replace(" ± ", "\n± ") if narrow else cell) for cell in row))
    return found


def legend(groups: Sequence[Group]) -> str:
    """What the columns are."""
    if any(len(group.finished) > 1 for group in groups):
        return "mean ± standard deviation over the runs of a row, which differ in the seed alone; time of one run"
    return "time of one run"


def headline(groups: Sequence[Group]) -> str:
    """How many runs there are, how they ended, and the time of all."""
    runs = [run for group in groups for run in group.runs]
    counts = {state: sum(run.state == state for run in runs) for state in ("finished", "failed", "unfinished")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    seconds = math.fsum(run.metrics.get("seconds", 0.0) for run in runs)
    return f"{len(runs)} run{'s' * (len(runs) != 1)}: {told}; {duration(seconds)} in all"


def complaints(groups: Sequence[Group]) -> list[str]:
    """A line for each run without a result."""
    found = []
    for group in groups:
        for run in group.runs:
            known = " ".join([*([group.name] if group.settings else []), *([f"seed={run.seed}"] if run.seed else [])])
            who = f"{run.folder} ({known})" if known else run.folder
            if run.state == "failed":
                found.append(f"{who} failed: {run.reason}")
            elif run.state == "unfinished":
                found.append(f"{who} has not ended")
    return found


def as_markdown(groups: Sequence[Group]) -> str:
    """The table, then all runs, for a page."""
    names, metrics = setting_names(groups), columns(groups)
    heading, rows = cells(groups, metrics)
    lines = [f"**{headline(groups)}**", "", *_markdown(heading, rows), "", f"({legend(groups)})", "", "## Runs", ""]
    runs = [
        [
            run.folder, *described(group, names), run.seed, run.state,
            *(f"{factor(name) * run.metrics[name]:.6g}" if name in run.metrics else "" for name in metrics),
            duration(run.metrics["seconds"]) if "seconds" in run.metrics else "",
        ]
        for group in groups for run in group.runs
    ]  # fmt: skip
    lines += _markdown(["run", *(names or ["changed"]), "seed", "state", *map(title, metrics), "time"], runs)
    if told := complaints(groups):
        lines += ["", "## Without a result", "", *(f"* {line}" for line in told)]
    return "\n".join(lines) + "\n"


def _markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(heading), line(["---"] * len(heading)), *map(line, rows)]


def as_csv(groups: Sequence[Group]) -> str:
    """A row for each group, with mean and deviation of all that was measured, in the units it was measured in."""
    metrics = list(dict.fromkeys(name for group in groups for name in group.metrics))
    settings = list(dict.fromkeys(key for group in groups for key in group.settings))
    counts = ("runs", "finished", "failed", "unfinished")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*settings, *counts, "objective", *(f"{name}{part}" for name in metrics for part in ("", " std"))])
    for group in groups:
        states = [run.state for run in group.runs]
        row: list[object] = [group.settings.get(name, "") for name in settings]
        row += [len(states), *map(states.count, counts[1:]), group.objective]
        for name in metrics:
            row += ["" if math.isnan(number) else repr(number) for number in (group.mean(name), group.deviation(name))]
        writer.writerow(row)
    return file.getvalue()
