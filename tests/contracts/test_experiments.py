"""Every published method under ``conf/experiment`` composes, and runs in its debug size from beginning to end."""

from __future__ import annotations

import json

import pytest
from omegaconf import OmegaConf

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
        "callbacks.stages.stages=[{at: 0.34, keep: 4, space: {cells_per_stage: 2}}, {at: 0.67, keep: 3}]",
    ),
    "darts/pdarts": (
        "callbacks.stages.stages=[{at: 0.34, keep: 5, space: {layers: 4}}, {at: 0.67, keep: 3}]",
    ),
    # without training
    "naswot": ("epochs=0", "selection.n_archs=6", "selection.estimator.batch_size=8", "selection.workers=1"),
    "knas": (
        "epochs=0", "selection.n_archs=6", "selection.keep=2", "selection.epochs=1", "selection.estimator.batch_size=8",
        "selection.workers=1",
    ),
    "az_nas": (
        "epochs=0", "selection.population=4", "selection.generations=2", "selection.survivors=2", "selection.workers=1",
    ),
    "regularized_evolution": (
        "epochs=0", "selection.budget=12", "selection.estimator.batch_size=8", "selection.workers=1",
    ),
    "local_search": ("epochs=0", "selection.budget=6", "selection.estimator.batch_size=8", "selection.workers=1"),
    "predictor_guided": (
        "epochs=0", "selection.budget=5", "selection.initial=3", "selection.top=2", "selection.estimator.epochs=1",
        "selection.estimator.batch_size=8", "selection.workers=1",
    ),
    "zero_pt": (
        "epochs=0", "selection.orders=1", "selection.validation_batches=2", "selection.estimator.batch_size=8",
    ),
    "darts/zero_pt": (
        "epochs=0", "selection.orders=1", "selection.validation_batches=2", "selection.estimator.batch_size=8",
        "warm_start=largest",
    ),
    "te_nas": (
        "epochs=0", "selection.number=3", "selection.repeats=1", "selection.estimators.ntk_condition.batch_size=4",
        "selection.estimators.linear_regions.batch_size=30",
    ),
    "darts/te_nas": (
        "epochs=0", "selection.repeats=1", "selection.estimators.ntk_condition.batch_size=4",
        "selection.estimators.linear_regions.batch_size=30", "warm_start=largest",
    ),
    "free_darts": ("epochs=0",), "darts/free_darts": ("epochs=0",),
}  # fmt: skip


def size(name: str) -> str:
    return "search_space.layers=3" if name.startswith("darts/") else "search_space.cells_per_stage=1"


def test_the_published_methods_are_there():
    expected = (
        "darts_v1 darts_v2 gdas snas drnas drnas_progressive milenas milenas_second milenas_gdas idarts pc_darts "
        "pdarts fair_darts sdarts_rs sdarts_adv robust_darts spos naswot knas az_nas zero_pt te_nas free_darts"
    )
    assert set(expected.split()) <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_the_papers_size_unless_told_otherwise(name):
    cfg = composed("search", f"experiment={name}")
    assert cfg.epochs >= 30 or not cfg.epochs  # without training
    assert cfg.data._target_.endswith("TorchvisionImages")
    assert composed("search", f"experiment={name}", "epochs=3", "data=digits").scheduler.get("T_max", 3) == 3


RUN = [  # the others of DARTS's space have the methods that run here on NAS-Bench-201
    pytest.param(name, marks=pytest.mark.slow)
    if name.startswith("darts/") and name not in ("darts/pc_darts", "darts/free_darts")
    else name
    for name in EXPERIMENTS
]


@pytest.mark.parametrize("name", RUN)
def test_an_experiment_runs_in_its_debug_size(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = [f"experiment={name}", "debug=tiny", "trainer=cpu", "logger=none", size(name), *SMALL.get(name, ())]
    assert run(monkeypatch, main, *arguments, "hydra.run.dir=run") == 0
    found = json.loads((tmp_path / "run" / "genotype.json").read_text())
    assert found["search_space"] == ("darts" if name.startswith("darts/") else "nasbench201")
    assert found["choices"]["experiment"] == name


# (batch, learning rate, weight decay and Nesterov of the weights, learning rate of the alphas), as the papers and their
# code have them.
PUBLISHED = {
    "darts_v1": (64, 0.025, 5e-4, True, 3e-4), "darts/darts_v1": (64, 0.025, 3e-4, False, 3e-4),
    "darts_v2": (64, 0.025, 5e-4, True, 3e-4), "darts/darts_v2": (64, 0.025, 3e-4, False, 3e-4),
    "gdas": (64, 0.025, 5e-4, True, 3e-4),
    "drnas": (64, 0.025, 3e-4, False, 3e-4), "drnas_progressive": (64, 0.025, 3e-4, False, 3e-4),
    "darts/drnas_progressive": (64, 0.1, 3e-4, False, 6e-4),
    "milenas": (64, 0.025, 3e-4, False, 3e-4), "darts/milenas": (64, 0.025, 3e-4, False, 3e-4),
    "milenas_second": (64, 0.025, 3e-4, False, 3e-4), "milenas_gdas": (64, 0.025, 3e-4, False, 3e-4),
    "pc_darts": (256, 0.1, 3e-4, False, 6e-4), "darts/pc_darts": (256, 0.1, 3e-4, False, 6e-4),
    "idarts": (64, 0.01, 5e-4, True, 3e-4),
    "fair_darts": (128, 0.005, 3e-4, False, 3e-3), "darts/fair_darts": (128, 0.005, 3e-4, False, 3e-3),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_experiment_has_the_papers_settings(name):
    cfg = composed("search", f"experiment={name}")
    weights = cfg.weight_optimizer
    settings = (cfg.batch_size, weights.lr, weights.weight_decay, weights.nesterov, cfg.arch_optimizer.lr)
    assert settings == pytest.approx(PUBLISHED[name])


FURTHER = {  # what else makes a method what it is
    "gdas": {"relaxation.tau_start": 10.0, "relaxation.tau_end": 0.1, "epochs": 250},
    "pc_darts": {"partial_channels": 4, "edge_normalization": True, "warmup_epochs": 15},
    "darts/pc_darts": {"partial_channels": 4, "edge_normalization": True, "warmup_epochs": 15},
    "darts/drnas_progressive": {"warmup_epochs": 10, "partial_channels": 6, "search_space.none": False},
    "milenas": {"formulation.simultaneous": False, "formulation.lambda_val": 1.0},
    "idarts": {"weight_steps": 4},
    "darts/fair_darts": {"search_space.threshold": 0.85, "search_space.none": False},
    "sdarts_rs": {"perturbation.epsilon_start": 0.03, "perturbation.epsilon_end": 0.3},
    "darts_v1": {"arch_optimizer.betas": [0.5, 0.999], "clip": 5.0, "epochs": 50},
    "drnas": {"epochs": 100, "relaxation.anchor_scale": 1e-3},
    "naswot": {"epochs": 0, "selection.n_archs": 1000, "selection.estimator.batch_size": 128},
    "knas": {
        "epochs": 0,
        "selection.keep": 40,
        "selection.epochs": 20,
        "selection.estimator.mode": "exact",
        "clip": 0.0,
        "batch_size": 256,
        "weight_optimizer.lr": 0.1,
        "weight_optimizer.weight_decay": 5e-4,
    },
    "az_nas": {"epochs": 0, "selection.estimator.scale": "log"},
    "zero_pt": {
        "epochs": 0,
        "selection.orders": 10,
        "selection.validation_batches": 100,
        "selection.channels": None,
    },
    "te_nas": {
        "epochs": 0,
        "selection.number": 1,
        "selection.repeats": 3,
        "selection.estimators.ntk_condition.batch_size": 72,
        "selection.estimators.ntk_condition.channels": 3,
        "selection.estimators.linear_regions.batch_size": 3000,
    },
    "darts/te_nas": {"selection.number": 3, "selection.estimators.ntk_condition.batch_size": 14},
    "free_darts": {"epochs": 0, "selection.alpha_std": 1e-3},
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in FURTHER.items() for key in keys])
def test_what_makes_a_method_is_as_published(name, key):
    assert OmegaConf.select(composed("search", f"experiment={name}"), key) == FURTHER[name][key]
