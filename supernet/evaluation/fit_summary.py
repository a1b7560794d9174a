"""What a fit leaves: ``report.json``, tables of predictions and importances, pictures, and a table on the screen."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from search_spaces.space import SearchSpace
from supernet.evaluation.figures import save
from supernet.evaluation.fit_pictures import draw_importances, draw_predictions
from supernet.evaluation.fitting import Predictions
from supernet.evaluation.report import Report, criteria
from supernet.evaluation.summary import REPORT
from supernet.files import shown, write_atomically

PREDICTIONS, IMPORTANCES = "predictions.csv", "importances.csv"
PREDICTIONS_PICTURE, IMPORTANCES_PICTURE = "predicted_against_true.png", "importances.png"
SHOWN = 8  # features in the table


def summarise(
    folder: Path,
    about: Mapping[str, Any],
    space: SearchSpace,
    parts: Mapping[str, Predictions],
    importances: Mapping[str, float] | None,
) -> float:
    """Write everything into the folder, show the table, and return Kendall's tau of the last part.

    Args:
        folder: of the run.
        about: what was fitted, by name, with a ``seed``, a ``model`` and ``features``.
        space: what the architectures belong to.
        parts: predictions by where they come from, at least one; the last is what the fit is judged by.
        importances: of the features, None for a model that cannot say.
    """
    judged = {name: criteria(found.scores, found.accuracies, about["seed"]) for name, found in parts.items()}
    name, last = list(parts.items())[-1]
    scalars = {part: {key: one for key, one in found.items() if not isinstance(one, dict)}
               for part, found in judged.items() if part != name}  # fmt: skip
    report: Report = {
        **about,
        "judged_by": name,
        "architectures": len(last.scores),
        "seconds_per_architecture": last.seconds / len(last.scores),
        **judged[name],
        **scalars,
    }
    write_atomically(folder / REPORT, json.dumps(report, indent=2) + "\n")
    write_atomically(folder / PREDICTIONS, _csv(_rows(space, parts)))
    title = f"{about['model']} on {about['features']}, fitted on {about['trained']:,} architectures"
    save(draw_predictions(parts, title), folder / PREDICTIONS_PICTURE)
    if importances is not None:
        ranked = sorted(importances.items(), key=lambda item: -item[1])
        write_atomically(folder / IMPORTANCES, _csv([("feature", "importance"), *ranked]))
        save(draw_importances(importances, title), folder / IMPORTANCES_PICTURE)
    console = Console()
    console.print(_table(title, report, judged, importances))
    console.print(f"outputs: {shown(folder)}", soft_wrap=True, highlight=False)
    return float(report["kendall_tau"] or 0.0)


def _table(title: str, report: Report, judged: Mapping[str, Report], importances: Mapping[str, float] | None) -> Table:
    found = Table(title=title, title_justify="left", show_header=False)
    for part, one in judged.items():
        numbers = [("tau", one["kendall_tau"]), ("rho", one["spearman_rho"]), ("nDCG", one["ndcg"])]
        found.add_row(part, ", ".join(f"{key} {'-' if x is None else format(x, '.3f')}" for key, x in numbers))
    found.add_row(
        "best predicted", f"{report['accuracy_of_best_scored']:.2f} %, of at most {report['best_accuracy']:.2f} %"
    )
    found.add_row("time", f"{report['seconds_of_fit']:.3g} s to fit, "
                  f"{1000 * report['seconds_per_architecture']:.3g} ms for an architecture")  # fmt: skip
    if importances is not None:
        ranked = sorted(importances.items(), key=lambda item: -item[1])[:SHOWN]
        found.add_row("what matters", "\n".join(f"{value:.3f}  {name}" for name, value in ranked))
    return found


def _rows(space: SearchSpace, parts: Mapping[str, Predictions]) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = [("arch", "part", "accuracy", "predicted", "deviation")]
    for part, found in parts.items():
        for index, one in enumerate(found.architectures):
            deviation = "" if found.deviations is None else repr(float(found.deviations[index]))
            numbers = repr(float(found.accuracies[index])), repr(float(found.scores[index]))
            rows.append((space.format(one), part, *numbers, deviation))
    return rows


def _csv(rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
