"""Every published method under ``conf/experiment`` composes, and runs in its debug size from beginning to end."""

from __future__ import annotations

import json

import pytest

from supernet.search import main
from tests.commands import run
from tests.contracts.configurations import CONF, composed

EXPERIMENTS = sorted(
    str(path.relative_to(CONF / "experiment").with_suffix(""))
    for path in (CONF / "experiment").rglob("*.yaml")
    if path.parent.name != "settings"
)
SMALL = {  # what is large in an experiment and depends on it
    "spos": ("selection.population=4", "selection.generations=1", "selection.survivors=2"),
    "pdarts": (
        "callbacks.stages.stages=[{at: 0.25, keep: 4, space: {cells_per_stage: 2}}, {at: 0.5, keep: 3}]",
        "scheduler.stages=2",
    ),
    "darts/pdarts": (
        "callbacks.stages.stages=[{at: 0.25, keep: 5, space: {layers: 4}}, {at: 0.5, keep: 3}]", "scheduler.stages=2",
    ),
}  # fmt: skip


def size(name: str) -> str:
    return "search_space.layers=3" if name.startswith("darts/") else "search_space.cells_per_stage=1"


def test_the_published_methods_are_there():
    expected = (
        "darts_v1 darts_v2 gdas snas drnas drnas_progressive milenas milenas_second milenas_gdas idarts pc_darts "
        "pdarts fair_darts sdarts_rs sdarts_adv robust_darts spos"
    )
    assert set(expected.split()) <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_the_papers_size_unless_told_otherwise(name):
    cfg = composed("search", f"experiment={name}")
    assert cfg.epochs >= 30
    assert cfg.data._target_.endswith("TorchvisionImages")
    assert composed("search", f"experiment={name}", "epochs=3", "data=digits").scheduler.get("T_max", 3) == 3


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_in_its_debug_size(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = [f"experiment={name}", "debug=tiny", "trainer=cpu", "logger=none", size(name), *SMALL.get(name, ())]
    assert run(monkeypatch, main, *arguments, "hydra.run.dir=run") == 0
    found = json.loads((tmp_path / "run" / "genotype.json").read_text())
    assert found["search_space"] == ("darts" if name.startswith("darts/") else "nasbench201")
    assert found["choices"]["experiment"] == name
