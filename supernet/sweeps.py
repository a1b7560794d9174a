"""A sweep that can be started again where it was killed, and what is done when it ends.

``sweep.yaml`` in its folder says what the first start was told. Starting again repeats that, in the same folder: the
sweeper proposes the same jobs under the same numbers, those that have finished give the value they gave, those that
were begun go on from their checkpoint, and the others begin. This holds for each of Hydra's launchers, and for a job
that a cluster starts again. A seeded Optuna sampler is told the same values in the same order, so it proposes what it
would have proposed.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from supernet.errors import UserError
from supernet.files import shown, write_atomically

log = logging.getLogger("supernet")
SWEEP = "sweep.yaml"
FORGOTTEN = ("data.download=",)
"""Settings that a repeated start does without: what was asked to be downloaded is there by now."""
PLACE = ("run_dir", "log_dir", "resume")
"""Settings that say where a run is, not what it does."""
_begun: list[tuple[Path, Callable[[Path], None]]] = []
"""Sweeps whose end Hydra has not told, and what shows them: it does not tell where a job has failed."""


class Sweep(Callback):
    """Hydra calls it at the beginning and at the end of a sweep."""

    def show(self, folder: Path) -> None:
        """What is shown of a sweep at its end: nothing, unless a subclass says more."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the sweep's record, or compare with the one that is there.

        Ends the command where they differ: Hydra would make a warning of an error.
        """
        folder = Path(config.hydra.sweep.dir)
        try:
            keep_record(folder, config)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from error
        _begun.append((folder, self.show))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See `finish`."""
        finish()

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """A job that was resumed by itself joins its sweep."""
        folder = Path(config.hydra.run.dir).absolute().parent
        if is_sweep(folder):
            self.show(folder)


def finish() -> None:
    """Show what there is of sweeps that have begun and were not shown yet."""
    while _begun:
        folder, show = _begun.pop()
        if folder.is_dir():
            try:
                show(folder)
            except OSError as error:
                log.warning("there is no summary of %s: %s", shown(folder), error)


def leave() -> None:
    """Let another process show the sweeps that have begun."""
    _begun.clear()


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / SWEEP).is_file() or (folder / "multirun.yaml").is_file()


def keep_record(folder: Path, config: DictConfig) -> None:
    """Write ``sweep.yaml``, or where there is one see to it that today's sweep is the same.

    Raises `UserError` where it is another, or cannot be repeated.
    """
    task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    content = OmegaConf.to_container(task, resolve=False)
    assert isinstance(content, dict)
    today = {
        "task": remembered(config.hydra.overrides.task),
        "hydra": list(config.hydra.overrides.hydra),
        "params": OmegaConf.to_container(config.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True),
        "config": _without_places(content),
    }
    path = folder / SWEEP
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, yaml.safe_dump(today, sort_keys=False, allow_unicode=True))
        return
    first = read_record(folder)
    for name in ("task", "params", "config"):
        different = sorted(_differences(first[name], today[name]))
        if different:
            raise UserError(
                f"{shown(folder)} has a sweep that was started with other settings ({', '.join(different[:5])}): "
                "choose another folder, or start that one again with the configuration files and settings it had"
            )
    sampler = config.hydra.sweeper.get("sampler")
    if sampler is not None and sampler.get("seed") is None:
        raise UserError(
            "a sampler without a seed would propose other settings than before; start a new sweep, with "
            "hydra.sweeper.sampler.seed=0"
        )
    if config.hydra.sweeper.get("storage") is not None:
        raise UserError(
            "this sweep keeps its trials in a data base, which would have them twice; go on without it, by "
            "hydra.sweeper.storage=null, or add new trials to the study by the first command in a new folder"
        )


def read_record(folder: Path) -> dict[str, Any]:
    """What a sweep was told at its first start. Raises `UserError` where it cannot be read."""
    path = folder / SWEEP
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    kinds = {"task": list, "hydra": list, "params": dict, "config": dict}
    if not isinstance(content, dict) or any(type(content.get(name)) is not kind for name, kind in kinds.items()):
        raise UserError(f"{path} is no record of a sweep; start a new one")
    return content


def remembered(overrides: Iterable[Any]) -> list[str]:
    """The settings that a repeated start has too."""
    return [str(one) for one in overrides if not str(one).startswith(FORGOTTEN)]


def _without_places(config: dict[Any, Any]) -> dict[Any, Any]:
    kept = {key: value for key, value in config.items() if key not in PLACE}
    if isinstance(kept.get("data"), dict):
        kept["data"] = {key: value for key, value in kept["data"].items() if key != "download"}
    return kept


def _differences(first: Any, today: Any, name: str = "") -> set[str]:
    """The dotted names under which two contents differ."""
    if isinstance(first, dict) and isinstance(today, dict):
        absent = object()
        found: set[str] = set()
        for key in first.keys() | today.keys():
            found |= _differences(first.get(key, absent), today.get(key, absent), f"{name}.{key}".lstrip("."))
        return found
    if isinstance(first, list) and isinstance(today, list) and not name:
        return set(map(str, first)) ^ set(map(str, today)) or ({"their order"} if first != today else set())
    return set() if first == today else {name}
