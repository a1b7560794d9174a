"""A job of a sweep goes on where it was, if it was begun: when the sweep, or a cluster, starts it again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from supernet.compose import CONFIG
from supernet.errors import UserError
from supernet.evaluation.runs import JOB
from supernet.failures import read_failure
from supernet.files import shown, write_atomically
from supernet.locks import lock
from supernet.strategies.places import leads
from supernet.sweeps import remembered

log = logging.getLogger("supernet")


class OtherJobError(UserError):
    """A folder is not for this job, or not any more; nothing is written into it."""


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
    with path.open("a") as file:  # on NFS only what can be written can be held
        if leads() and not lock(file):  # the others work for this one
            log.warning("another process works on %s: waiting for it to end", shown(folder))
            lock(file, wait=True)
        _compare(hydra, folder)
        if (folder / CONFIG).is_file() and "resume" in cfg:
            cfg.resume = str(folder)
        yield


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
