"""The end of ``python -m supernet.evaluate -m``: all evaluations of a sweep in one table and one picture."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from supernet.evaluation.runs import changes, distinct, run_folders
from supernet.evaluation.scores import SCORES
from supernet.failures import read_failure
from supernet.files import shown, write_atomically
from supernet.sweeps import Sweep

COMPARISON = "comparison"
Row = dict[str, Any]


class Comparison(Sweep):
    """What the evaluations of a sweep end with."""

    def show(self, folder: Path) -> None:
        """See `compare`."""
        compare(folder)


def compare(folder: Path) -> None:
    """Write ``comparison.json``, ``.csv`` and ``.png`` into the folder of a sweep and show the table.

    A run has a row if it has a report; what is said of it is what was changed for it and not for all.
    """
    rows, missing = reports(folder)
    console = Console()
    if rows:
        # matplotlib takes a second to import, for which most runs have no use.
        from supernet.evaluation.bars import draw_comparison
        from supernet.evaluation.figures import save

        write_atomically(folder / f"{COMPARISON}.json", json.dumps(rows, indent=2) + "\n")
        write_atomically(folder / f"{COMPARISON}.csv", as_csv(rows))
        columns = {
            "kendall_tau": ("Kendall's τ", 1.0, "{:.3f}"),
            "precision_at_top_5%": ("P@top 5 %: the best it finds [%]", 100.0, "{:.1f}"),
            "regret_of_top_1%": ("accuracy its best 1 % lack [points]", 1.0, "{:.2f}"),
        }
        save(draw_comparison(rows, columns), folder / f"{COMPARISON}.png")
        console.print(table(rows))
        console.print(f"outputs: {shown(folder)}", soft_wrap=True, highlight=False)
    for name, path in missing:
        reason = read_failure(path)
        if reason is None and (path / SCORES).is_file():
            told = f"{name}: there is no table to compare with; the scores are in {shown(path)}"
        else:
            told = f"no report of {name} in {shown(path)}" + ("" if reason is None else f": {reason}")
        console.print(told, soft_wrap=True, highlight=False, markup=False)


def reports(folder: Path) -> tuple[list[Row], list[tuple[str, Path]]]:
    """A row for each run with a report, the highest Kendall's tau first; and name and folder of the other runs."""
    runs = run_folders(folder)
    names = distinct([[one.removeprefix("estimator=") for one in changes(path)] for path in runs])
    rows: list[Row] = []
    missing = []
    for name, path in zip(names, runs, strict=True):
        report = path / "report.json"
        if report.is_file():
            rows.append({"name": name, "folder": path.name, **flattened(json.loads(report.read_text()))})
        else:
            missing.append((name, path))
    return sorted(rows, key=lambda row: math.inf if row["kendall_tau"] is None else -row["kendall_tau"]), missing


def flattened(report: Row) -> Row:
    """The criteria of a report side by side; ranking differences are left to the report."""
    flat: Row = {}
    for name, value in report.items():
        if name == "ranking_difference":
            continue
        if isinstance(value, dict):
            flat |= {f"{name}_{share}": item for share, item in value.items()}
        else:
            flat[name] = value
    return flat


def table(rows: list[Row]) -> Table:
    """The most important criteria of all runs; accuracies are in percent."""
    found = Table(
        title=f"{len(rows)} evaluations", title_justify="left",
        caption="accuracy of the 1% scored best, on average, and of the best; median milliseconds for an architecture",
        caption_justify="left",
    )  # fmt: skip
    found.add_column("", overflow="fold")
    for name in ("tau", "rho", "nDCG", "P@top5%", "best 1%", "best", "ms"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        numbers = (
            (row["kendall_tau"], ".3f"),
            (row["spearman_rho"], ".3f"),
            (row["ndcg"], ".3f"),
            (row["precision_at_top_5%"], ".1%"),
            (row["accuracy_of_top_1%"], ".2f"),
            (row["accuracy_of_best_scored"], ".2f"),
            (1000 * row["seconds_per_architecture"], ".3g"),
        )
        found.add_row(row["name"], *("-" if value is None else format(value, form) for value, form in numbers))
    return found


def as_csv(rows: list[Row]) -> str:
    """The rows as csv, with the columns of all of them."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
