"""Running the commands inside the test process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = (
    "data=synthetic", "data.num_images=80", "data.size=8", "data.num_classes=3", "batch_size=8", "trainer=cpu",
    "search_space.channels=4", "search_space.cells_per_stage=1", "epochs=2",
)  # fmt: skip
"""A search that takes a second."""
QUIET = (*TINY, "logger=none")
"""The same without TensorBoard, whose pictures take a third of it."""


def run(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *arguments: str) -> int:
    """The exit status of a command with these arguments."""
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def only_run(folder: Path) -> Path:
    """The one run folder below ``folder/<task>/runs``."""
    (found,) = folder.glob("*/runs/*")
    return found
