"""The configuration files, for tests that check whatever they find there."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

CONF = Path(__file__).parents[2] / "conf"


def names(group: str) -> list[str]:
    """The choices of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def build(group: str, name: str, **arguments):
    """An object from the group's file alone."""
    return instantiate(OmegaConf.load(CONF / group / f"{name}.yaml"), **arguments)


def composed(config: str, *overrides: str) -> DictConfig:
    """The configuration a command would get."""
    return copy.deepcopy(_composed(config, *overrides))


@functools.cache
def _composed(config: str, *overrides: str) -> DictConfig:
    """Composing takes a tenth of a second, and many tests look at the same."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config, overrides=list(overrides))
