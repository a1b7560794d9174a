"""Several processes for one evaluation: what their settings say, and that they agree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from typing_extensions import Self

from supernet.errors import UserError

STARTED = {"LOCAL_RANK", "SLURM_STEP_ID"}
"""What the environment has where something has started this process, perhaps as one of several."""
OF_MACHINE = ("workers", "device", "num_nodes", "timeout", "resume", "log_dir", "run_dir")
"""Settings that may be different for each process."""
FOUND = "epochs"
"""A setting that the first process looks up where it is null."""


@dataclass(frozen=True)
class Sharing:
    """By how many processes an evaluation is shared, and which of them this is.

    Attributes:
        workers: that this process begins, or that are begun for it.
        timeout: seconds that a process waits for another.
        processes: how many share the work.
        here: how many of them are on this node.
        number: of this one; the first reports.
    """

    workers: int | None
    timeout: float
    processes: int = 1
    here: int = 1
    number: int = 0

    @classmethod
    def of(cls, cfg: DictConfig) -> Self:
        """What the configuration and the environment say. Raises `UserError` where that makes no sense."""
        workers, nodes, timeout = cfg.workers, cfg.num_nodes, cfg.timeout
        if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 0):
            raise UserError(f"workers={workers}: it must be a whole number, at least 0, or null for all cores")
        if not isinstance(nodes, int) or isinstance(nodes, bool) or nodes < 1:
            raise UserError(f"num_nodes={nodes}: it must be a whole number, at least 1")
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0:
            raise UserError(f"timeout={timeout}: it must be a number of seconds, more than 0")
        if nodes == 1 and not STARTED & set(os.environ):
            return cls(workers, timeout)
        # What knows of SLURM takes two seconds to import, for which a single process has no use.
        from supernet.strategies.shares import shared

        places = shared(nodes, workers)
        here = len(places.devices)
        return cls(workers, timeout, places.size, here, places.node * here + places.local[0])


def check_folder(cfg: DictConfig) -> None:
    """Refuse a folder that is another one for each process, because the time is in its name."""
    hydra = HydraConfig.get()
    group = "run" if hydra.mode == RunMode.RUN else "sweep"
    unresolved: Any = OmegaConf.to_container(HydraConfig.instance().cfg, resolve=False)
    default = Path(cfg.run_dir) == Path(hydra.runtime.output_dir).absolute()
    if default and "${now" in unresolved["hydra"][group]["dir"]:
        raise UserError(
            f"several processes need one folder, that all of them see: give all the same hydra.{group}.dir=<folder>, "
            "as the default has the time in it"
        )


def differing(one: DictConfig, other: DictConfig) -> str | None:
    """The first setting of a run, by its dotted name, in which one configuration is not that of the first process."""

    def walk(left: Any, right: Any, name: str) -> str | None:
        if not isinstance(left, dict) or not isinstance(right, dict):
            found = left is None and name.endswith(f".{FOUND}")
            return None if found or left == right else name
        keys = [key for key in left | right if name or key not in OF_MACHINE]
        different = (
            walk(left.get(key), right.get(key), f"{name}.{key}".lstrip(".")) for key in keys if key != "download"
        )
        return next(filter(None, different), None)

    return walk(OmegaConf.to_container(one), OmegaConf.to_container(other), "")
