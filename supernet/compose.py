"""From configuration to objects, with errors a user can act on; and the saved configuration of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from search_spaces.network import Recomputed
from supernet.errors import UserError
from supernet.files import write_atomically

CONFIG = "config.yaml"
CHOSEN = {
    **{name: name for name in ("estimator", "features", "model", "cost", "constraint", "scheduler")},
    **dict.fromkeys(("optimizer", "weight_optimizer", "arch_optimizer"), "optimizer"),
}
"""Keys whose values come from files of a configuration group, and the group."""
PATHS = ("root", "run", "trained", "path")
"""Settings that name a file or a folder, wherever they stand; so do all below one called `files`."""
REFERENCE = re.compile(r"\$\{[\w.]+\}")
"""An interpolation that only names another value; all others can read from outside or build objects."""


def build(node: Any, name: str, /, **arguments: Any) -> Any:
    """Instantiate a configuration node. Raises `UserError`, with the reason, where its arguments are wrong."""
    try:
        return instantiate(node, **arguments)
    except MissingMandatoryValue as error:
        key = error.full_key or name
        raise UserError(f"{key} is needed; give it on the command line: {key}=...") from error
    except InstantiationException as error:
        reason: BaseException = error
        while reason.__cause__ is not None and not isinstance(reason, UserError):
            reason = reason.__cause__
        if isinstance(reason, UserError):
            raise reason from error
        if isinstance(reason, ValueError | TypeError | ImportError | KeyError | AttributeError):
            raise UserError(f"{name}: {reason}") from error
        raise


def check(cfg: DictConfig) -> None:
    """Refuse top-level values that make no sense, and mandatory ones that are missing, before any work starts."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise UserError(f"{missing[0]} is needed; give it on the command line: {missing[0]}=...")
    content = cast(dict[Any, Any], OmegaConf.to_container(cfg, resolve=False))
    for key, group, name in _bare_choices({key: content[key] for key in content if key not in ("choices", "hydra")}):
        raise UserError(f"{key}={name}: what is chosen there is given as {group}@{key}={name}")
    if "max_epochs" in (cfg.get("trainer") or {}) and cfg.trainer.max_epochs != cfg.get("epochs"):
        raise UserError(f"trainer.max_epochs={cfg.trainer.max_epochs}: use epochs={cfg.trainer.max_epochs}")
    trains = 0 if cfg.get("task_name") == "search" else 1  # a search may go without
    smallest = {
        "epochs": trains,
        "seed": 0,
        "warmup_epochs": 0,
        "batch_size": 1,
        "weight_steps": 1,
        "max_skipped_steps": 0,
        "partial_channels": 1,
    }
    for key, least in smallest.items():
        value = cfg.get(key)
        if key in cfg and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise UserError(f"{key}={value}: it must be a whole number, at least {least}")
    for key in ("edge_normalization", "compile", "cuda_graphs"):
        if not isinstance(cfg.get(key, False), bool):
            raise UserError(f"{key}={cfg[key]}: it must be true or false")
    every = cfg.get("checkpoint_every")
    if every is not None and (not isinstance(every, int) or isinstance(every, bool) or every < 1):
        raise UserError(f"checkpoint_every={every}: it must be a whole number, at least 1, or null")
    if cfg.get("recompute") not in (None, *get_args(Recomputed)):
        raise UserError(
            f"recompute={cfg.recompute}: what is computed anew is {' or '.join(get_args(Recomputed))}, or null"
        )
    if cfg.get("dry_run") not in (None, "memory"):
        raise UserError(f"dry_run={cfg.dry_run}: there is dry_run=memory; null for a run")
    minutes = cfg.get("checkpoint_minutes")
    if minutes is not None and (not isinstance(minutes, int | float) or isinstance(minutes, bool) or not minutes >= 0):
        raise UserError(f"checkpoint_minutes={minutes}: it must be a number, at least 0, or null")
    clip = cfg.get("clip", 0)
    if not isinstance(clip, int | float) or isinstance(clip, bool) or not clip >= 0:
        raise UserError(f"clip={clip}: it must be a number, at least 0; 0 turns clipping off")
    for key in ("limit_train_batches", "limit_val_batches"):
        if (cfg.get("trainer") or {}).get(key) == 0:
            raise UserError(f"trainer.{key}=0 leaves nothing to measure; use 1 or more, or null for all")


def _bare_choices(content: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Where a name stands in place of what a configuration group would have put there, that group, and the name."""
    for key, value in content.items():
        group = CHOSEN.get(key)
        if group and isinstance(value, str) and value and not value.startswith("${") and value != "???":
            yield f"{prefix}{key}", group, value
        elif isinstance(value, dict):
            yield from _bare_choices(value, f"{prefix}{key}.")


def save_config(cfg: DictConfig, folder: Path) -> None:
    """Write the configuration, atomically; `load_config` reads it back.

    What was asked to be downloaded is there by now, and a saved configuration never asks for it again.
    """
    cfg = cfg.copy()
    if "download" in (cfg.get("data") or {}):
        cfg.data.download = False
    write_atomically(folder / CONFIG, OmegaConf.to_yaml(cfg))


def settled(cfg: DictConfig) -> DictConfig:
    """A new run's configuration, checked, or with ``cfg.resume`` the one that the run in that folder was started with.

    Its ``run_dir`` is the run's folder. What it names is named from anywhere: see `make_absolute`.
    """
    if cfg.resume:
        return load_config(Path(cfg.resume).expanduser().absolute(), cfg)
    with open_dict(cfg):
        cfg.choices = choices()
        cfg.run_dir = str(Path(cfg.run_dir).absolute())
    check(cfg)
    make_absolute(cfg)
    return cfg


def make_absolute(cfg: DictConfig, every: bool = False) -> None:
    """Write out the paths in a configuration, so that a run that goes on from another folder reads the same files.

    Args:
        cfg: it.
        every: whether all texts in it are paths; else those that are called so, see `PATHS`.

    Raises:
        UserError: for the home of nobody.
    """
    for key in cfg:
        if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, str(key)):
            continue
        value = cfg[key]
        if isinstance(value, DictConfig):
            make_absolute(value, every=key == "files")
        elif isinstance(value, str) and value and (every or key in PATHS):
            try:
                cfg[key] = str(Path(value).expanduser().absolute())
            except RuntimeError as error:
                raise UserError(f"{key!s}={value}: {error}") from error


def load_config(folder: Path, default: DictConfig) -> DictConfig:
    """The configuration a run was started with; ``default`` is today's, for what it must have.

    Raises `UserError` where there is none, or where it names code that no configuration file here names: a run folder
    may come from somebody else, and code is never called because such a file says so.
    """
    cfg, path = read_config(folder, "resume", "; start a new run instead"), folder / CONFIG
    if cfg.get("task_name") != default.task_name:
        raise UserError(f"{folder} is a run of {cfg.get('task_name')}.py, not of {default.task_name}.py")
    absent = [str(key) for key in default if key not in cfg]
    if absent:
        raise UserError(f"{path} lacks {', '.join(absent)}: it was not saved by this version; start a new run")
    cfg.run_dir = str(folder.absolute())
    check(cfg)
    return cfg


def read_config(folder: Path, setting: str, remedy: str = "") -> DictConfig:
    """The configuration in a run folder that ``setting`` names.

    Raises `UserError` where there is none, or where it names code that no configuration file here names. A process that
    Hydra has not begun leaves the latter to the one that has begun it.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{setting}={folder}: that is no run folder (it has no {CONFIG}){remedy}")
    try:
        cfg = OmegaConf.load(path)
        content = OmegaConf.to_container(cfg, resolve=False)
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(cfg, DictConfig):
        raise UserError(f"{path} is no configuration")
    if HydraConfig.initialized():
        check_harmless(content, known_targets(), path)
    return cfg


def check_harmless(node: Any, known: set[str], path: Path) -> None:
    """Raise `UserError` for a content that could call code not in ``known``, read from outside, or download."""
    if isinstance(node, str) and "${" in REFERENCE.sub("", node):
        raise UserError(
            f"{path} holds {node!r}; a saved configuration may only refer to its own values, as in ${{seed}}"
        )
    if isinstance(node, list):
        for item in node:
            check_harmless(item, known, path)
    if isinstance(node, dict):
        for key, item in node.items():
            if key == "download" and item:
                raise UserError(f"{path} wants to download; a saved configuration never does, so set download: false")
            if key == "_target_" and not (isinstance(item, str) and item in known):
                raise UserError(
                    f"{path} wants to call {item!r}, which no configuration file here names; if that is your own "
                    "class, put it into a configuration file and give its folder with --config-dir"
                )
            check_harmless(item, known, path)


def known_targets(folders: Iterable[Path] | None = None) -> set[str]:
    """Every ``_target_`` in these folders, by default this project's and the user's configuration files."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        for key, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            if key == "_target_":
                found.add(str(item))
            walk(item)

    # A hundred files: plain values will do, and libyaml reads them ten times as fast where it is there.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for folder in config_folders() if folders is None else folders:
        for file in folder.rglob("*.yaml"):
            walk(yaml.load(file.read_text(encoding="utf-8"), loader))
    return found


def config_folders() -> list[Path]:
    """The folders that configuration files come from: this project's, and the one given with ``--config-dir``."""
    sources = HydraConfig.get().runtime.config_sources
    return [Path(source.path) for source in sources if source.schema == "file" and Path(source.path).is_dir()]


def choices() -> dict[str, Any]:
    """Which file of each configuration group this run uses, Hydra's own groups left out."""
    chosen = HydraConfig.get().runtime.choices
    return {str(key): value for key, value in chosen.items() if not str(key).startswith("hydra/") and key != "hydra"}


def names(group: str) -> list[str]:
    """The choices of a configuration group, the user's among them."""
    return sorted({path.stem for folder in config_folders() for path in (folder / group).glob("*.yaml")})


def group_file(group: str, name: str) -> DictConfig:
    """A file of a configuration group, from this project's or the user's configuration folders."""
    for folder in config_folders():
        path = folder / group / f"{name}.yaml"
        if path.parent == folder / group and path.is_file():
            cfg = OmegaConf.load(path)
            assert isinstance(cfg, DictConfig)
            return cfg
    raise UserError(f"there is no {group}={name}")


def plain(value: Any) -> bool:
    """Whether a value is a number, a text, None or a list of such: data that cannot do anything.

    A text with an interpolation is not: some of them build objects.
    """
    if isinstance(value, list | ListConfig):
        return all(plain(item) for item in value)
    if isinstance(value, str):
        return "${" not in value
    return value is None or isinstance(value, bool | int | float)
