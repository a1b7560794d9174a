"""What the pictures of an evaluation have in common.

Figures have canvases of their own, as in `supernet.drawing`.
"""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from supernet.drawing import INK, PALE, PALETTE
from supernet.files import write_atomically

OVER, UNDER = PALETTE[1], PALETTE[0]
"""The colours of what lies above and below a line."""


def empty(width: float, height: float, title: str = "") -> Figure:
    """A figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold", color=INK)
    return figure


def clean(ax: Axes) -> None:
    """Leave of the frame what carries numbers, in a quiet colour."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9, labelcolor=INK, color=PALE)
    for spine in ax.spines.values():
        spine.set_color(PALE)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    write_atomically(path, content.getvalue())
