"""A sweep that can be started again where it was killed, and what is done when it ends.

``sweep.yaml`` in its folder says what the first start was told. Starting again repeats that, in the same folder: the
sweeper proposes the same jobs under the same numbers, those that have finished give the value they gave, those that
were begun go on from their checkpoint, and the others begin. This holds for each of Hydra's launchers, and for a job
that a cluster starts again. A seeded Optuna sampler is told the same values in the same order, so it proposes what it
would have proposed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from supernet.compose import CONFIG, check_harmless, known_targets
from supernet.errors import UserError
from supernet.evaluation.runs import JOB
from supernet.failures import read_failure
from supernet.files import shown, write_atomically

log = logging.getLogger("supernet")
SWEEP = "sweep.yaml"
FORGOTTEN = ("data.download=",)
"""Settings that a repeated start does without: what was asked to be downloaded is there by now."""
PLACE = ("run_dir", "log_dir", "resume")
HARMLESS = re.compile(
    r"hydra/(launcher|sweeper|sweeper/sampler)=[\w-]+"
    r"|hydra\.(launcher|sweeper)\.(?!.*(_target_|custom_search_space|setup|additional_parameters))"
    r"[\w.\\]+=[\w.:,+()\[\] '-]*"
    r"|hydra\.sweep\.subdir=([\w.,=-]|\$\{hydra[:.][\w.]+\})*"
)
"""Choices and plain values for launcher and sweeper: what of Hydra's own settings is taken from a file."""

_begun: list[tuple[Path, Callable[[Path], None]]] = []
"""Sweeps whose end Hydra has not told, and what shows them: it does not tell where a job has failed."""


class OtherJobError(UserError):
    """A folder is not for this job, or not any more; nothing is written into it."""


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


def repeated(folder: Path, arguments: Sequence[str], configurations: Iterable[Path]) -> list[str]:
    """The arguments that start a sweep again: the first ones, and those given now, which say how it runs.

    Args:
        folder: of the sweep.
        arguments: the command line; of settings only Hydra's own.
        configurations: the folders of configuration files, which say what code a record may name.

    Raises:
        UserError: for other settings, and for a record that could do harm: a folder may come from somebody else.
    """
    given = [one for one in arguments if not one.startswith("resume=") and one not in ("-m", "--multirun")]
    others = [one for one in given if _key(one) and not _key(one).startswith(("hydra.", "hydra/"))]
    if others:
        raise UserError(f"resume repeats a sweep as it was; drop {' '.join(others)}, or start a new sweep with it")
    first, path = read_record(folder), folder / SWEEP
    task = [str(one) for one in first["task"]]
    _check_overrides(task, known_targets(configurations), path)
    kept = []
    replaced = {_key(one) for one in given}
    for one in map(str, first["hydra"]):
        key = _key(one)
        launcher_replaced = "hydra/launcher" in replaced and key.startswith("hydra.launcher.")
        if key in replaced or launcher_replaced or key in ("hydra.mode", "hydra.sweep.dir"):
            continue
        if not HARMLESS.fullmatch(one):
            raise UserError(f"{path} holds {one}, which is not taken from a file: give {key}= again")
        kept.append(one)
    place = str(folder.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return ["--multirun", *task, *kept, *given, f'hydra.sweep.dir="{place}"']


@contextmanager
def taken_up(cfg: DictConfig, folder: Path) -> Iterator[None]:
    """Let the job of a sweep go on where it was, if it was begun: as with ``resume=`` of its folder.

    A launcher's process may live on after the sweep was killed: while it works on the job, this one waits.

    Raises `OtherJobError` where the folder is that of another job, and for a failure that the sweep has gone on after.
    """
    hydra, path = HydraConfig.get(), folder / JOB
    if hydra.mode != RunMode.MULTIRUN:
        yield
        return
    if not path.is_file():
        write_atomically(path, json.dumps({"overrides": remembered(hydra.overrides.task)}, indent=2) + "\n")
    with path.open() as file:
        if int(os.environ.get("SLURM_PROCID") or os.environ.get("RANK") or 0) == 0:  # the others work for this one
            _lock(file, folder)
        _compare(hydra, folder)
        if (folder / CONFIG).is_file() and "resume" in cfg:
            cfg.resume = str(folder)
        yield


def _lock(file: TextIO, folder: Path) -> None:
    """Until the file is closed, or this process has ended in any way."""
    with contextlib.suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process works on %s: waiting for it to end", shown(folder))
            fcntl.flock(file, fcntl.LOCK_EX)


def _compare(hydra: Any, folder: Path) -> None:
    path, mine = folder / JOB, remembered(hydra.overrides.task)
    try:
        theirs = [str(one) for one in json.loads(path.read_text())["overrides"]]
    except (ValueError, TypeError, KeyError) as error:
        raise OtherJobError(f"{path} cannot be read: {error}") from error
    if sorted(theirs) != sorted(mine):
        different = sorted(set(theirs) ^ set(mine))
        raise OtherJobError(
            f"{shown(folder)} is a job with other settings ({', '.join(different)}); use another folder"
        )
    reason = read_failure(folder)
    if reason is not None and _gone_on_after(hydra, folder):
        raise OtherJobError(reason)


def _gone_on_after(hydra: Any, folder: Path) -> bool:
    """Whether a sampler that learns has proposed further jobs knowing that this one has failed."""
    if "sampler" not in hydra.sweeper:
        return False
    batch = int(hydra.sweeper.n_jobs)
    numbers = [int(path.name) for path in folder.parent.iterdir() if path.name.isdigit()]
    return max(numbers, default=0) // batch > int(hydra.job.num) // batch


def remembered(overrides: Iterable[Any]) -> list[str]:
    """The settings that a repeated start has too."""
    return [str(one) for one in overrides if not str(one).startswith(FORGOTTEN)]


def _key(argument: str) -> str:
    """The setting that an argument gives, empty for an option."""
    return "" if argument.startswith("-") else argument.partition("=")[0].lstrip("+~") if "=" in argument else ""


def _check_overrides(overrides: Sequence[str], known: set[str], path: Path) -> None:
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise UserError(f"{path} holds no settings: {' '.join(str(error).split())}") from error
    for one in parsed:
        if one.is_sweep_override():
            values: list[Any] = list(one.sweep_iterator()) if one.is_discrete_sweep() else []
        else:
            values = [one.value()]
        for value in values:
            text = getattr(value, "text", value)  # of a quoted string
            check_harmless({one.key_or_group.rpartition(".")[2]: text}, known, path)


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
