"""Every selection under ``conf/selection`` that needs no training works on spaces that are built very differently."""

from __future__ import annotations

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from supernet.selection.base import task_of
from tests.contracts.configurations import CONF, composed, names
from tests.supernet.searches import images, module

TRAINED = ("none", "evolution", "perturbation")
UNTRAINED = [name for name in names("selection") if name not in TRAINED]
SPACES = [
    NASBenchMacro(channels=4, num_classes=3), NASBench1Shot1(1, channels=4, layers=3, num_classes=3),
    NASBench201(channels=4, cells_per_stage=1, num_classes=3),
]  # fmt: skip
EXPERIMENTS = {
    entry["override /selection"]
    for name in names("experiment")
    for entry in OmegaConf.load(CONF / "experiment" / f"{name}.yaml").defaults
    if "override /selection" in entry
}
SMALL = {
    "sample": ("n_archs=3", "estimator.batch_size=8", "workers=1"),
    "short_training": ("n_archs=3", "keep=1", "epochs=1", "estimator.batch_size=8", "workers=1"),
    "scored_evolution": ("population=3", "generations=2", "survivors=2", "workers=1"),
    "regularized_evolution": ("budget=5", "population=3", "tournament=2", "estimator.batch_size=8", "workers=1"),
    "local_search": ("budget=5", "estimator.batch_size=8", "workers=1"),
    "predictor_guided": (
        "budget=4", "initial=3", "top=1", "candidates=5", "estimator.batch_size=8", "estimator.epochs=1", "workers=1",
    ),
    "zero_pt": ("orders=1", "validation_batches=1", "estimator.batch_size=8"),
    "te_nas": (
        "repeats=1", "number=3", "estimators.ntk_condition.batch_size=3", "estimators.linear_regions.batch_size=20",
    ),
    "free_darts_snip": ("batch_size=8",), "free_darts_grasp": ("batch_size=8",),
}  # fmt: skip


def test_the_selections_are_told_apart():
    for name in names("selection"):
        target = OmegaConf.load(CONF / "selection" / f"{name}.yaml").get("_target_")
        assert (name in UNTRAINED) == bool(target and not get_class(target).needs_training)


def test_a_selection_has_a_constraint_among_its_settings_exactly_where_it_respects_one():
    for name in names("selection"):
        content = OmegaConf.to_container(OmegaConf.load(CONF / "selection" / f"{name}.yaml"))
        target = content.get("_target_")
        respects = bool(target and get_class(target).respects_constraint)
        assert (content.get("constraint") == "${constraint}") == respects


@pytest.mark.parametrize("constraint", [name for name in names("constraint") if name not in ("none", "latency")])
def test_every_constraint_works_from_the_command_line(constraint, tmp_path):
    settings = (f"constraint={constraint}", "constraint.least=1", "epochs=0", "selection=local_search")
    cfg = composed("search", *settings, *(f"selection.{setting}" for setting in SMALL["local_search"]))
    cfg.run_dir = str(tmp_path)
    selection = instantiate(cfg.selection)
    selection.check(task_of(module(), images()))
    assert selection.objectives.constraint(task_of(module(), images())).least == 1


# On NAS-Bench-201 most of them run in an experiment (`test_experiments`).
PAIRS = [
    pytest.param(space, name, marks=pytest.mark.slow) if space.name == "nasbench201" and name in EXPERIMENTS
    else (space, name)
    for space in SPACES for name in UNTRAINED
]  # fmt: skip


@pytest.mark.parametrize(("space", "name"), PAIRS, ids=lambda one: getattr(one, "name", one))
def test_a_valid_architecture_of_the_space_is_found_and_measured(name, space, tmp_path):
    settings = [f"selection.{setting}" for setting in SMALL.get(name, ())]
    cfg = composed("search", f"selection={name}", "epochs=0", *settings)
    cfg.run_dir = str(tmp_path)
    selection = instantiate(cfg.selection)
    selected = selection.select(module(space=space), images())
    assert space.contains(selected.architecture)
    assert space.is_valid(selected.architecture)
    assert tuple(selected.metrics) == selection.measures
    assert (tmp_path / "scores.csv").exists()
