"""Folders of runs as the commands leave them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml


def search_run(folder: Path, *changes: str, value: float | None = None, reason: str | None = None, **metrics) -> Path:
    """A search in a sweep with this accuracy, or that failed for this reason, or that did not end."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"overrides": list(changes)}))
    if value is not None:
        found = {"accuracy/discretized": value, "seconds": 10.0, **metrics}
        content = {"metrics": found, "config": {"objective": "accuracy/discretized"}}
        (folder / "genotype.json").write_text(json.dumps(content))
    if reason is not None:
        (folder / "failure.json").write_text(json.dumps({"reason": reason}))
    return folder


def train_run(folder: Path, *changes: str, accuracy: float) -> Path:
    """A single training."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(list(changes)))
    metrics = {"genotype": "x", "test_accuracy": accuracy, "seconds": 5.0, "versions": {}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder
