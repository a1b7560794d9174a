"""Every preset of a sweep composes, alone and with an experiment, and every job that it begins with does too."""

from __future__ import annotations

import itertools

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from tests.contracts.configurations import CONF, composed, names

SEARCHES = [name for name in names("sweep") if not name.endswith("_train")]
TRAININGS = ["seeds", *(name for name in names("sweep") if name.endswith("_train"))]


def with_hydra(config: str, *overrides: str):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config, overrides=list(overrides), return_hydra_config=True).hydra


def ends(params) -> list[list[str]]:
    """For each parameter its values, of an interval its two ends, as overrides."""
    found = []
    for key, value in params.items():
        (override,) = OverridesParser.create().parse_overrides([f"{key}={value}"])
        if override.is_discrete_sweep():
            values = list(override.sweep_string_iterator())
        else:
            values = [override.value().start, override.value().end]
        found.append([f"{key}={one}" for one in values])
    return found


@pytest.mark.parametrize(("config", "name"), [*(("search", n) for n in SEARCHES), *(("train", n) for n in TRAININGS)])
def test_every_preset_is_a_sweep_without_m_and_its_values_are_settings(config, name):
    given = ["genotype=drnas"] if config == "train" else ["experiment=drnas"]
    hydra = with_hydra(config, *given, f"sweep={name}")
    assert hydra.mode == RunMode.MULTIRUN
    for one in itertools.chain.from_iterable(ends(hydra.sweeper.params)):
        key, _, value = one.partition("=")
        cfg = composed(config, *given, f"sweep={name}", one)
        if "." in key or key == "seed":
            node = cfg
            for part in key.split("."):
                node = node[part]
            assert float(node) == float(value)
        else:
            assert key in cfg


@pytest.mark.parametrize("name", [name for name in names("sweep") if name.startswith("optuna")])
def test_a_sampler_maximises_and_can_go_on(name):
    sweeper = with_hydra("search" if name == "optuna" else "train", f"sweep={name}").sweeper
    assert str(sweeper.direction) == "maximize"
    assert sweeper.sampler.seed is not None
    assert sweeper.storage is None
    assert "optuna" in sweeper._target_


def test_the_grid_has_every_formulation_and_every_relaxation_that_learns():
    params = with_hydra("search", "sweep=grid").sweeper.params
    assert set(params.relaxation.split(",")) == set(names("relaxation")) - {"uniform", "uniform_strict"}
    assert set(params.formulation.split(",")) == set(names("formulation")) - {"second_order_exact"}


def test_a_cluster_gets_the_tasks_and_nodes_that_the_trainer_asks_for():
    trainer = ("trainer=slurm", "trainer.devices=4", "trainer.num_nodes=2")
    launcher = with_hydra("search", *trainer, "hydra/launcher=slurm", "hydra.launcher.partition=gpu").launcher
    assert (launcher.tasks_per_node, launcher.gpus_per_node, launcher.nodes) == (4, 4, 2)
    assert launcher.partition == "gpu"
    assert launcher.max_num_timeout > 0
    assert launcher._target_.endswith("SlurmLauncher")
    one = with_hydra("search", "hydra/launcher=slurm", "trainer=gpu").launcher
    assert (one.tasks_per_node, one.nodes) == (1, 1)
