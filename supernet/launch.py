"""Runs a command under Hydra and turns a user's mistake into one line, a non-zero exit and no half-written run."""

from __future__ import annotations

import difflib
import errno
import functools
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from supernet.errors import SettingsError, UserError
from supernet.failures import forget_failure, record_failure
from supernet.files import shown
from supernet.jobs import OtherJobError, taken_up
from supernet.repeating import repeated
from supernet.strategies.places import leads
from supernet.sweeps import finish, is_sweep

log = logging.getLogger("supernet")
PACKAGE = Path(__file__).parent
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())
"""The configuration: inside the package in an installed copy, beside it in a checkout."""

SYNTAX = "a setting is given as name=value; quote a value with brackets or spaces, as in 'name=\"a value\"'"

TEXTS = ("genotype", "resume", "data.root", "log_dir", "hydra.run.dir", "trained")
ENDINGS = (".path", ".trained", ".run")
"""Settings whose values are texts or paths, to be taken as they are; those of estimators and costs by their endings."""

OF_MACHINE = ("workers=", "num_nodes=", "timeout=")
"""Settings that belong to the machines and not to the run, whose results they do not change."""

Task = Callable[[DictConfig], Any]


def launch(
    task: Task,
    config: str,
    follow: Callable[[list[str]], list[str]] = lambda arguments: [],
    result: Callable[[Path], float | None] = lambda folder: None,
) -> None:
    """Compose ``conf/<config>.yaml`` with the command line and run ``task`` with it, in a run folder of its own.

    ``resume=<run folder>`` makes that folder the run folder; the task then takes the configuration saved there.
    ``resume=<folder of a sweep>`` starts it again in the same folder (`supernet.repeating`). ``follow`` is called with
    the arguments and returns those that follow from them, to be added. ``result`` is called with the folder of a job of
    a sweep and returns the value of one that has finished, which does not run again.
    """
    several = {"-m", "--multirun"} & set(sys.argv) or any(one.startswith("sweep=") for one in sys.argv)
    if not several:  # in a sweep a comma separates values
        sys.argv = [sys.argv[0], *(_prepare(argument) for argument in sys.argv[1:])]
    if several and any(one.split("=")[0] in ("--cfg", "-c") for one in sys.argv):
        _fail("--cfg shows the configuration of a single run; leave out -m, and give each setting one value")
    _check_log_dir(sys.argv[1:])
    before = os.environ.get("HYDRA_FULL_ERROR")
    debugging = before == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises; what a user sees is decided here
    try:
        sweep = _sweep_to_resume(sys.argv[1:])
        if sweep is not None:
            sys.argv = [sys.argv[0], *repeated(sweep, sys.argv[1:], [CONF, *_own_configurations(sys.argv)])]
        else:
            sys.argv += _resume_arguments(sys.argv[1:])
            sys.argv += follow(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config)(_guarded(task, debugging, result))()
    except BrokenPipeError:  # whoever reads the output, such as `--help | head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        if debugging or (message := explain(error, config)) is None:
            raise
        _fail(message)
    finally:
        finish()
        os.environ.pop("HYDRA_FULL_ERROR") if before is None else os.environ.update(HYDRA_FULL_ERROR=before)


def _check_log_dir(arguments: list[str]) -> None:
    """End the command where outputs are to go below a file."""
    for named in (one.partition("=")[2].strip("'\"") for one in arguments if one.startswith("log_dir=")):
        there = next((path for path in (Path(named), *Path(named).parents) if path.exists()), Path())
        if not there.is_dir():
            _fail(f"log_dir={named}: {there} is a file; choose another folder for the outputs")


def _prepare(argument: str) -> str:
    """Quote values that Hydra's grammar would take apart: architecture strings and paths."""
    key, separator, value = argument.partition("=")
    is_text = (key in TEXTS or key.endswith(ENDINGS) or ".files." in key) and value != "null"
    is_text = is_text or (key == "architectures" and not value.replace("_", "").isdecimal())  # else it is a number
    if separator and is_text and value and value[0] not in "'\"[{$":
        return f"{key}={_quoted(value)}"
    return argument


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'


def _resumed_folder(arguments: list[str]) -> str | None:
    """What ``resume=`` names, None without it."""
    folders = [a.partition("=")[2].strip("'\"") for a in arguments if a.startswith("resume=")]
    return folders[-1] if folders and folders[-1] not in ("", "null") else None


def _sweep_to_resume(arguments: list[str]) -> Path | None:
    """The folder of a sweep that ``resume=`` names, None where it names a run or nothing."""
    named = _resumed_folder(arguments)
    folder = Path(named or "").expanduser().absolute()
    if named is None or (folder / "config.yaml").is_file() or not is_sweep(folder):
        return None
    return folder


def _own_configurations(arguments: list[str]) -> list[Path]:
    """The folder given with ``--config-dir``."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    found = [after for one, after in pairs if one in ("--config-dir", "-cd")]
    found += [one.partition("=")[2] for one in arguments if one.startswith(("--config-dir=", "-cd="))]
    return [Path(one).expanduser() for one in found]


def _resume_arguments(arguments: list[str]) -> list[str]:
    """With ``resume=<folder>``: write there and leave Hydra's record of the first start as it is."""
    named = _resumed_folder(arguments)
    if named is None:
        return []
    others = [a for a in arguments if "=" in a and not a.startswith(("resume=", "hydra.", "hydra/", "-", *OF_MACHINE))]
    if others:
        raise UserError(f"resume takes the saved configuration; drop {' '.join(others)}, or start a new run with it")
    folder = Path(named).expanduser().absolute()
    if not folder.is_dir():
        raise UserError(f"resume={named}: there is no such folder")
    if not (folder / "config.yaml").is_file():
        raise UserError(f"resume={named}: that is no run folder (it has no config.yaml); start a new run instead")
    if {"-m", "--multirun"} & set(arguments):
        raise UserError(f"resume={named}: that is a run and no sweep; leave out -m")
    return [f"hydra.run.dir={_quoted(str(folder))}", "hydra.output_subdir=null"]


def _guarded(task: Task, debugging: bool, result: Callable[[Path], float | None]) -> Task:
    """The task with the handling of mistakes around it; in a sweep they are left to Hydra, so that it goes on."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> Any:
        folder = Path(HydraConfig.get().runtime.output_dir)
        single = HydraConfig.get().mode == RunMode.RUN
        others = single and not cfg.get("resume") and (folder / "config.yaml").exists()  # another run's folder
        try:
            with taken_up(cfg, folder):
                value = None if single else result(folder)
                if value is None:
                    value = task(cfg)
                else:
                    log.info("%s has finished before", shown(folder))
        except Exception as error:
            if single and (leads() or not _is_given()):  # else it is that of all nodes, who have just begun
                _remove_if_unused(folder)
            if leads() and not isinstance(error, OtherJobError) and not others and folder.exists():
                record_failure(folder, error)
            if debugging or not single or (message := explain(error, HydraConfig.get().job.config_name or "")) is None:
                raise
            _fail(message, None if cfg.get("resume") or isinstance(error, SettingsError) else folder)
        forget_failure(folder)
        if single:
            _remove_if_unused(folder)  # of a process that trains in the folder of another
        return value

    return run


def _is_given() -> bool:
    """Whether the command line names the run folder."""
    return any(one.startswith("hydra.run.dir=") for one in HydraConfig.get().overrides.hydra)


def _remove_if_unused(folder: Path) -> None:
    """Delete a run folder in which nothing but Hydra's own record was written."""
    if {path.name for path in folder.iterdir() if path.suffix != ".log"} == {".hydra"}:
        shutil.rmtree(folder, ignore_errors=True)


def _fail(message: str, folder: Path | None = None) -> NoReturn:
    started = folder is not None and (folder / "config.yaml").exists() and "resume=" not in message
    hint = f" (the run so far is kept; go on with resume={folder})" if started else ""
    print(f"error: {message}{hint}", file=sys.stderr)
    raise SystemExit(1)


def explain(error: Exception, config: str) -> str | None:
    """One line for an error that a user can mend, None for one that is a defect of this program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no space left on the device for {error.filename or 'the outputs'}; free some, or choose another log_dir="
        )
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        reason = os.strerror(error.errno or errno.EACCES)
        return f"{error.filename}: {reason}; make it accessible, or for outputs choose another log_dir="
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        return "a group cannot be null: leave it out, or choose one of its files"
    if isinstance(error, MissingConfigException):
        return _explain_missing_file(error)
    if isinstance(error, HydraException):
        return _explain_override(error, config)
    return None


def _explain_missing_file(error: MissingConfigException) -> str:
    wanted = error.missing_cfg_file or ""
    group, _, name = str(wanted).rpartition("/")
    options = list(error.options or []) or sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"did you mean {near[0]}?" if near else ""
    listed = f"there are {', '.join(sorted(options))}" if options else ""
    if group in ("hydra/launcher", "hydra/sweeper"):
        listed += "; more come with the extra: pip install 'supernet[sweeps]'"
    return f"{group}={name}: no such choice; " + " ".join(filter(None, (hint, listed)))


def _explain_override(error: Exception, config: str) -> str:
    text = " ".join(str(error).split())
    unknown = re.search(r"Could not override '([^']+)'", text)
    if not unknown:
        return f"{text}; {SYNTAX}" if isinstance(error, OverrideParseException) else text
    keys = known_keys(config)
    group = unknown[1].partition(".")[0]
    if unknown[1] in ("trainer.strategy", "trainer.num_nodes"):
        return (
            f"{unknown[1]}: this trainer has one process; use trainer=ddp, with trainer.devices and trainer.num_nodes"
        )
    if group == unknown[1] and (CONF / group).is_dir():
        return (
            f"{group}: this command has no such group; where another group has one it is chosen by {group}@<where>=, "
            "as in estimator@selection.estimator=naswot with selection=sample"
        )
    strange = unknown[1] in keys or not any(key.startswith(f"{group}.") for key in keys)  # keys are of the defaults
    if group != unknown[1] and (CONF / group).is_dir() and strange:
        options = ", ".join(sorted(path.stem for path in (CONF / group).glob("*.yaml")))
        return f"{unknown[1]}: the chosen {group} has no such setting; there are {group}={options}"
    near = difflib.get_close_matches(unknown[1], keys, n=3, cutoff=0.6)
    leaf = unknown[1].rpartition(".")[2]
    near = (
        near or [key for key in keys if difflib.SequenceMatcher(None, key.rpartition(".")[2], leaf).ratio() > 0.8][:3]
    )
    hint = f"did you mean {' or '.join(near)}?" if near else "see --help"
    return f"{unknown[1]}: no such setting; {hint}"


def known_keys(config: str) -> list[str]:
    """All dotted keys and groups of the default configuration."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = OmegaConf.to_container(hydra.compose(config))
    keys: list[str] = sorted(path.name for path in CONF.iterdir() if path.is_dir())

    def walk(node: Any, prefix: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if not str(key).startswith("_"):
                    keys.append(f"{prefix}{key}")
                    walk(value, f"{prefix}{key}.")

    walk(cfg, "")
    return sorted(set(keys))
