"""Searches as processes of their own, with what they used; runs that are already there are not repeated."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table

ROOT = Path(__file__).parents[1]
# The reduced task: small images, a narrow and shallow supernet.
REDUCED = (
    "data=image_folder", "search_space.channels=8", "search_space.cells_per_stage=1", "batch_size=64", "logger=none",
    "trainer=cpu",
)  # fmt: skip
SPACE = NASBench201()


def arguments(description: str | None, folder: str, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """What all comparisons of searches can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(seeds))
    parser.add_argument("--data", nargs="*", default=[], help="further settings, such as data.root=...")
    parser.add_argument("--folder", type=Path, default=Path(folder))
    parser.add_argument("--jobs", type=int, default=1, help="how many searches run at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each search")
    return parser


@dataclass(frozen=True)
class Found:
    """What a search found, its test accuracy in percent, and what the search's process used."""

    name: str
    skips: int
    accuracy: float
    processor: float  # seconds
    memory: float  # MiB, at its peak


def run(
    settings: Sequence[str],
    folder: Path,
    threads: int,
    script: Sequence[str] = (str(ROOT / "search.py"),),
    result: str = "genotype.json",
) -> None:
    """One search with these settings; its peak memory and processor time are those of its process.

    Nothing is done where the folder has the result; what an interrupted one has left is removed.
    """
    folder = folder.absolute()
    if (folder / result).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, *script, *settings, f"hydra.run.dir={folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    print(f"{folder.name}: exit {process.returncode}, {seconds:.0f} s", flush=True)
    used = {"seconds": seconds, "processor": usage.ru_utime + usage.ru_stime, "kilobytes": usage.ru_maxrss}
    (folder / "usage.json").write_text(json.dumps(used))


def by_table(folder: Path) -> Found | None:
    """What the search in this folder found, by the table of NAS-Bench-201; None where it has not ended well."""
    if not (folder / "genotype.json").exists() or not (folder / "usage.json").exists():
        return None
    architecture = SPACE.parse(json.loads((folder / "genotype.json").read_text())["architecture"])
    accuracy = NASBench201Table().query(architecture, "cifar10").accuracy
    return Found(SPACE.short(architecture), architecture["cell"].count(1), accuracy, *_used(folder))


def by_training(folder: Path) -> Found | None:
    """The same by the training in ``trained`` in this folder: `train`."""
    metrics = folder / "trained" / "metrics.json"
    if not metrics.exists() or not (folder / "usage.json").exists():
        return None
    text = json.loads((folder / "genotype.json").read_text())["architecture"]
    return Found(
        text, text.count("skip_connect"), 100 * json.loads(metrics.read_text())["test_accuracy"], *_used(folder)
    )


def train(settings: Sequence[str], folder: Path, threads: int) -> None:
    """Train what the search in this folder found."""
    if (folder / "genotype.json").exists():
        settings = (f"genotype={folder.absolute()}", *settings)
        run(settings, folder / "trained", threads, (str(ROOT / "train.py"),), "metrics.json")


def _used(folder: Path) -> tuple[float, float]:
    usage = json.loads((folder / "usage.json").read_text())
    return usage["processor"], usage["kilobytes"] / 1024


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0:.2f}"


def row(name: str, searches: Sequence[Found]) -> str:
    """A line of the table: `HEADER`."""
    names = "; ".join(f"`{one.name}`" for one in searches)
    return (
        f"| {name} | {statistics.mean(one.processor for one in searches):.0f} "
        f"| {max(one.memory for one in searches):.0f} | {statistics.mean(one.skips for one in searches):.1f} "
        f"| {spread([one.accuracy for one in searches])} | {names} |"
    )


HEADER = (
    "| | processor seconds | memory (MiB) | skips | table accuracy (%) | found, one a seed |\n|---|---|---|---|---|---|"
)


def controls() -> list[str]:
    """Lines for architectures drawn at random."""
    table = NASBench201Table()
    everything = list(SPACE.enumerate())
    lines = []
    for name, architectures in (
        ("drawn at random", everything),
        ("drawn at random, connected", [one for one in everything if SPACE.is_valid(one)]),
    ):
        accuracies = [table.query(one, "cifar10").accuracy for one in architectures]
        skips = statistics.mean(one["cell"].count(1) for one in architectures)
        lines.append(f"| {name} | 0 | | {skips:.1f} | {spread(accuracies)} | of {len(architectures):,} |")
    return lines
