"""The end of ``python -m supernet.evaluate -m``: all evaluations of a sweep in one table and one picture."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from supernet.files import shown, write_atomically

COMPARISON = "comparison"
Row = dict[str, Any]


_begun: list[Path] = []
"""The folders of sweeps whose end Hydra has not told: it does not where a run has failed."""


class Comparison(Callback):
    """Hydra calls it at the beginning of a sweep, and at its end if all runs went well."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the sweep for `finish`."""
        _begun.append(Path(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See `compare`."""
        finish()


def finish() -> None:
    """Compare what there is of sweeps that have begun and were not compared yet."""
    while _begun:
        folder = _begun.pop()
        if folder.is_dir():
            compare(folder)


def leave() -> None:
    """Let another process compare the sweeps that have begun."""
    _begun.clear()


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / "multirun.yaml").is_file()


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
        console.print(f"no report of {name} in {shown(path)}", soft_wrap=True, highlight=False)


def reports(folder: Path) -> tuple[list[Row], list[tuple[str, Path]]]:
    """A row for each run with a report, the highest Kendall's tau first; and name and folder of the other runs."""
    runs = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: (len(path.name), path.name))
    names = distinct([_overrides(path) for path in runs])
    rows: list[Row] = []
    missing = []
    for name, path in zip(names, runs, strict=True):
        report = path / "report.json"
        if report.is_file():
            rows.append({"name": name, "folder": path.name, **flattened(json.loads(report.read_text()))})
        else:
            missing.append((name, path))
    return sorted(rows, key=lambda row: math.inf if row["kendall_tau"] is None else -row["kendall_tau"]), missing


def distinct(overrides: list[list[str]]) -> list[str]:
    """What was changed for each run and not for all; the key ``estimator=`` goes without saying."""
    common = set.intersection(*map(set, overrides)) if len(overrides) > 1 else set()
    named = [" ".join(one.removeprefix("estimator=") for one in own if one not in common) for own in overrides]
    return [name or f"run {index}" for index, name in enumerate(named)]


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


def _overrides(run: Path) -> list[str]:
    path = run / ".hydra" / "overrides.yaml"
    return [str(item) for item in yaml.safe_load(path.read_text()) or []] if path.is_file() else [run.name]
