"""Runs in one process and the same in two, side by side."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).parents[3]


def twins(runs: Mapping[str, Path], **trainer) -> dict[str, Path]:
    """For each finished run of one process the folder of the same in two, which share each batch and its statistics."""
    folders, orders = {}, []
    for name, folder in runs.items():
        folders[name] = folder.with_name(folder.name + "_twin")
        folders[name].mkdir()
        cfg = OmegaConf.load(folder / "config.yaml")
        cfg.run_dir = str(folders[name])
        several = {"devices": 2, "num_nodes": 1, "sync_batchnorm": True, "timeout": 60, **trainer}
        cfg.trainer = OmegaConf.merge(cfg.trainer, several)
        OmegaConf.save(cfg, folders[name] / "config.yaml")
        orders.append(f"{cfg.task_name}={folders[name]}")
        for found in ("warm_start.json", "shrinkage.json"):
            if (folder / found).exists():
                (folders[name] / found).write_bytes((folder / found).read_bytes())
    together(orders)
    return folders


def together(orders: Sequence[str]) -> None:
    """Do these, each ``<task>=<folder>``, in two processes. Raises where one of them breaks down."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    ranks = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    command = [sys.executable, "-m", "tests.supernet.strategies.pair", *orders]
    both = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **ranks, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]  # fmt: skip
    outputs = [one.communicate(timeout=120 + 30 * len(orders))[0] for one in both]
    assert not any(one.returncode for one in both), "\n".join(outputs)


def history(folder: Path) -> list[dict[str, str]]:
    """What was measured in each epoch, without what depends on the clock."""
    for failure in folder.glob("failure_*"):
        raise AssertionError(failure.read_text())
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in ("seconds", "time/step")} for row in rows]


def differences(one: Path, other: Path) -> dict[str, float | str]:
    """The largest difference of each column, the text where it is one."""
    found: dict[str, float | str] = {}
    for mine, theirs in zip(history(one), history(other), strict=True):
        assert set(mine) == set(theirs), set(mine) ^ set(theirs)
        for name, value in mine.items():
            if name == "genotype":
                found[name] = "" if value == theirs[name] else theirs[name]
            else:
                found[name] = max(float(found.get(name, 0)), abs(float(value or 0) - float(theirs[name] or 0)))
    return found
