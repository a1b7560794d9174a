"""Every file under ``conf`` is the constructor arguments of one class, and every choice composes with the others."""

from __future__ import annotations

import inspect
import itertools

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from supernet.strategies.replicated import Replicated
from tests.contracts.configurations import CONF, composed, names

SEVERAL = ("hydra", "debug", "callbacks", "experiment", "recipe", "sweep")  # their files are about more than one class
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name not in SEVERAL)
FILES = [(group, name) for group in GROUPS for name in names(group) if name != "none"]


def loaded(group: str, name: str) -> dict:
    """The content of a file, and of those of the same group that it begins with."""
    content = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    for base in content.get("defaults", []):
        if isinstance(base, str) and base != "_self_":
            content = loaded(group, base) | content
    return content


@pytest.mark.parametrize(("group", "name"), FILES)
def test_a_yaml_is_constructor_arguments_of_one_class(group, name):
    content = loaded(group, name)
    target = get_class(content.pop("_target_"))
    content.pop("_partial_", None)
    for nested in content.pop("defaults", []):  # what another group gives is an argument too
        if not isinstance(nested, str):
            content |= {key.partition("@")[2].partition(".")[0]: None for key in nested}
    accepted = set(inspect.signature(Replicated.__init__).parameters) if group == "trainer" else set()
    for base in target.__mro__:
        accepted |= set(inspect.signature(base.__init__).parameters)
        accepted |= set(getattr(base, "__annotations__", {}))
    for parent in target.__mro__:
        hints = (
            getattr(inspect.getmodule(parent), "Options", None),
            getattr(inspect.getmodule(parent), "FoundOptions", None),
        )
        for hint in filter(None, hints):
            accepted |= set(hint.__annotations__)
    assert set(content) <= accepted, f"{group}/{name}: {set(content) - accepted} are no arguments of {target}"


def combinations() -> list:
    """Every relaxation with every formulation and every space; most are slow, but for each choice with the usual ones
    and a dozen at a distance, in which every choice meets another.
    """
    found, usual = [], ("softmax", "first_order", "nasbench201")
    for number, one in enumerate(itertools.product(names("relaxation"), names("formulation"), names("search_space"))):
        alone = sum(a != b for a, b in zip(one, usual, strict=True)) <= 1
        found.append(pytest.param(*one, marks=() if alone or number % 43 == 0 else pytest.mark.slow))
    return found


@pytest.mark.parametrize(("relaxation", "formulation", "search_space"), combinations())
def test_every_combination_composes(relaxation, formulation, search_space):
    cfg = composed(
        "search", f"relaxation={relaxation}", f"formulation={formulation}", f"search_space={search_space}", "epochs=7"
    )
    assert cfg.scheduler.T_max == cfg.trainer.max_epochs == 7


@pytest.mark.parametrize("data", names("data"))
def test_every_data_set_composes_with_searching_and_training(data):
    assert composed("search", f"data={data}", "batch_size=5").data.batch_size == 5
    assert composed("train", f"data={data}", "genotype=x", "seed=4").data.seed == 4


@pytest.mark.parametrize("config", ["search", "train", "evaluate"])
def test_the_commands_have_the_settings_that_are_promised(config):
    cfg = composed(config)
    assert {"seed", "log_dir", "run_dir", "task_name"} <= set(cfg)
    if config != "evaluate":
        assert {"epochs", "resume", "trainer", "batch_size"} <= set(cfg)
