"""``stability.json`` and ``.png``: how a ranking changes while a supernet is trained: from one checkpoint to the next.

Ning, Tang, Li, Zhou, Yang and Wang, "Evaluating Efficient Performance Estimators of Neural Architectures", 2021,
arXiv:2008.03064: the relative criteria are the ordinary ones, between the estimates of two checkpoints instead of an
estimate and the truth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table

from supernet.drawing import INK
from supernet.evaluation.correlation import kendall
from supernet.evaluation.figures import OVER, UNDER, clean, empty, save
from supernet.evaluation.top import agreement, percent
from supernet.files import write_atomically

NAME = "stability"
SHARES = (0.005, 0.05)
RELATIVE = ("relative_kendall_tau", "relative_precision_at_top")
Row = dict[str, Any]


def stability(
    names: Sequence[str], estimates: ArrayLike, accuracies: ArrayLike | None = None, seed: int = 0
) -> list[Row]:
    """A row for each checkpoint, in their order.

    ``kendall_tau`` is that with the true accuracies, None without any; ``relative_kendall_tau`` and
    ``relative_precision_at_top`` compare with the checkpoint before and are None for the first.

    Args:
        names: of the checkpoints.
        estimates: ``(architectures, checkpoints)``, higher is better.
        accuracies: ``(architectures,)``.
        seed: decides between equal estimates.
    """
    columns = list(np.asarray(estimates, dtype=np.float64).T)
    rows: list[Row] = []
    for index, (name, now) in enumerate(zip(names, columns, strict=True)):
        tau = None if accuracies is None else _number(kendall(now, accuracies))
        row: Row = {"checkpoint": name, "kendall_tau": tau, **dict.fromkeys(RELATIVE)}
        if index:
            found = agreement(columns[index - 1], now, SHARES, seed)
            row |= {key: _number(value) if isinstance(value, float) else value for key, value in found.items()}
        rows.append(row)
    return rows


def write_stability(folder: Path, rows: Sequence[Row], title: str) -> None:
    """Write file and picture into the folder of a run and show a table."""
    write_atomically(folder / f"{NAME}.json", json.dumps(rows, indent=2) + "\n")
    save(draw_stability(rows, title), folder / f"{NAME}.png")
    table = Table(title=f"{title}: stability", title_justify="left")
    table.add_column("epoch", justify="right")
    for heading in ("tau", "tau with the one before", *(f"P@top {percent(share)} with it" for share in SHARES)):
        table.add_column(heading, justify="right")
    for row in rows:
        precision = row["relative_precision_at_top"] or {}
        numbers = [
            row["kendall_tau"],
            row["relative_kendall_tau"],
            *(precision.get(percent(share)) for share in SHARES),
        ]
        table.add_row(row["checkpoint"], *("-" if value is None else f"{value:.3f}" for value in numbers))
    Console().print(table)


def draw_stability(rows: Sequence[Row], title: str) -> Figure:
    """Both taus over the checkpoints."""
    figure = empty(6.4, 3.8, f"{title}: agreement over the checkpoints")
    ax = figure.subplots()
    names = [row["checkpoint"] for row in rows]
    for key, label, colour in (
        ("kendall_tau", "with the true accuracies", UNDER),
        ("relative_kendall_tau", "with the checkpoint before", OVER),
    ):
        points = [(names.index(row["checkpoint"]), row[key]) for row in rows if row[key] is not None]
        if points:
            ax.plot(*zip(*points, strict=True), color=colour, marker="o", linewidth=1.6, label=label)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlabel("epoch of the supernet")
    ax.set_ylabel("Kendall's tau")
    ax.legend(fontsize=9, frameon=False, labelcolor=INK)
    clean(ax)
    return figure


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
