"""What an evaluation leaves beside the scores: ``report.json``, two pictures, and a table on the screen."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.network import multiply_adds
from search_spaces.space import SearchSpace
from supernet.costs.survey import Image
from supernet.costs.tables import counted
from supernet.errors import UserError
from supernet.evaluation.agreement import draw_agreement
from supernet.evaluation.bars import draw_bias
from supernet.evaluation.figures import save
from supernet.evaluation.report import Report, biases, criteria
from supernet.files import shown, write_atomically

REPORT, AGREEMENT, BIAS = "report.json", "score_against_accuracy.png", "ranking_difference.png"


def summarise(
    folder: Path,
    about: dict[str, Any],
    space: SearchSpace,
    image: Image,
    architectures: Sequence[Architecture],
    scores: Sequence[float],
    seconds: Sequence[float],
    accuracies: Sequence[float],
) -> float:
    """Write report and pictures into the folder, show the table, and return Kendall's tau (0 where there is none).

    Args:
        folder: of the run.
        about: what was evaluated, by name.
        space: what the architectures belong to.
        image: channels, height and width of its images.
        architectures: what was scored; the rest is in this order.
        scores: higher is better.
        seconds: that each took.
        accuracies: true ones, in percent.
    """
    costs, counts = costs_of(space, architectures, image), operation_counts(space, architectures)
    found: Report = {
        **about,
        "architectures": len(architectures),
        "without_finite_score": int((~np.isfinite(scores)).sum()),
        "seconds_per_architecture": statistics.median(seconds),
        "seconds": sum(seconds),
        **criteria(scores, accuracies, about["seed"]),
        "ranking_difference": biases(scores, accuracies, costs, counts),
    }
    write_atomically(folder / REPORT, json.dumps(found, indent=2) + "\n")
    title = f"{found['estimator']} on {found['dataset']}"
    save(draw_agreement(scores, accuracies, costs, title, found), folder / AGREEMENT)
    save(draw_bias(found["ranking_difference"], title), folder / BIAS)
    console = Console()
    console.print(table(found))
    console.print(f"outputs: {shown(folder)}", soft_wrap=True, highlight=False)
    return float(found["kendall_tau"] or 0.0)


def costs_of(space: SearchSpace, architectures: Sequence[Architecture], image: Image) -> NDArray[np.float64]:
    """The multiply-adds of each architecture ``(architectures,)``: where they do not add up, counted one by one."""
    try:
        costs = counted(space, image, "multiply_adds")
    except UserError:
        return np.array([multiply_adds(space.network(one).to("meta"), image) for one in architectures], dtype=float)
    return np.array([costs.of(one) for one in architectures])


def operation_counts(space: SearchSpace, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.int64]]:
    """For each operation on how many edges, of all cell types, each architecture has it ``(architectures,)``."""
    names = dict.fromkeys(name for cell in space.operations.values() for name in cell if name not in space.unchosen)
    counts = {name: np.zeros(len(architectures), dtype=np.int64) for name in names}
    for index, architecture in enumerate(architectures):
        for cell, row in architecture.choices:
            for choice in row:
                if choice != DROPPED:
                    counts[space.operations[cell][choice]][index] += 1
    return counts


def table(found: Report) -> Table:
    """The most important criteria."""
    rows = {
        "Kendall's tau": _number(found["kendall_tau"]),
        "Spearman's rho": _number(found["spearman_rho"]),
        "Pearson": _number(found["pearson"]) + _left_out(found["pearson_left_out"]),
        "nDCG": _number(found["ndcg"]),
        **{f"P@top {share}": f"{100 * found['precision_at_top'][share]:.1f} %" for share in ("1%", "5%", "10%")},
        "best scored": f"{found['accuracy_of_best_scored']:.2f} %, of at most {found['best_accuracy']:.2f} %",
        "its best 1%, on average": f"{found['accuracy_of_top']['1%']:.2f} %",
        "time": _time(found["seconds_per_architecture"]) + " for an architecture",
    }
    title = f"{found['estimator']} against {found['dataset']}: {found['architectures']:,} architectures"
    shown = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows.items():
        shown.add_row(name, value)
    return shown


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _left_out(count: int) -> str:
    return f" ({count:,} without a finite score left out)" if count else ""


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
