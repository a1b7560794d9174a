"""One search in one, two and four processes: are the results the same, and how much of the time is communication?

    python -m benchmarks.scaling --processes 1 2 4
    python -m benchmarks.scaling --processes 1 2 4 8 --settings trainer.accelerator=gpu search_space.channels=16 ...

Equality: the same search in float64 with synchronised batch norms; the largest difference from one process in any
column of ``history.csv``, and whether the genotypes are the same. Communication: seconds inside the exchanges of all
processes, waiting for the slowest included, as a share of the time of the steps, in float32. The exchanged bytes give
the projection for more devices: a ring moves ``2 (n - 1) / n`` times the bytes at the bandwidth of the slowest link,
and each message takes ``2 (n - 1)`` latencies.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist

ROOT = Path(__file__).parents[1]
SETTINGS = (
    "data=synthetic", "data.size=16", "data.num_images=1280", "batch_size=64", "epochs=2", "search_space.channels=8",
    "search_space.cells_per_stage=1", "logger=none", "checkpoint_minutes=null",
)  # fmt: skip
LINKS = {"within a node, 300 GB/s": (300e9, 5e-6), "between nodes, 25 GB/s": (25e9, 10e-6)}
"""Bandwidth in bytes a second and latency in seconds: typical of NVLink, and of one 200 Gb/s network adapter."""


class Traffic(pl.Callback):
    """Counts what the training steps of a process exchange; the first epoch is left out, which warms up.

    Args:
        folder: where ``traffic_<rank>.json`` goes.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.counts = {"bytes": 0, "messages": 0, "seconds": 0.0, "steps": 0, "wall": 0.0}
        self._in_step = False
        self._start = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put a clock around every exchange."""
        exchange = dist.all_reduce

        def timed(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if not self._in_step:
                return exchange(tensor, *args, **kwargs)
            _wait(tensor.device)
            start = time.perf_counter()
            done = exchange(tensor, *args, **kwargs)
            _wait(tensor.device)
            self.counts["seconds"] += time.perf_counter() - start
            self.counts["bytes"] += tensor.nbytes
            self.counts["messages"] += 1
            return done

        dist.all_reduce = timed

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, number: int) -> None:
        """Start the clock of a step."""
        self._in_step = trainer.current_epoch > 0
        _wait(pl_module.device)
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        """Stop it."""
        if self._in_step:
            _wait(pl_module.device)
            self.counts["wall"] += time.perf_counter() - self._start
            self.counts["steps"] += 1
        self._in_step = False

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what was counted."""
        if self.counts["steps"]:  # else this is the command, which only watches
            (self.folder / f"traffic_{trainer.global_rank}.json").write_text(json.dumps(self.counts))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--settings", nargs="*", default=[], help="further settings of the searches")
    parser.add_argument("--projected", nargs="*", type=int, default=[8, 16, 32, 64])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(Path(folder), args.processes, args.settings, args.projected)


def report(folder: Path, processes: Sequence[int], settings: Sequence[str], projected: Sequence[int]) -> None:
    """Run and print."""
    exact, timed = {}, {}
    for count in processes:
        exact[count] = search(folder / f"exact_{count}", count, *settings, "trainer.precision=64-true", sync=True)
        timed[count] = search(folder / f"timed_{count}", count, *settings)
    print("| processes | largest difference | genotype | step [ms] | communication | messages a step | KiB a step |")
    print("|---|---|---|---|---|---|---|")
    for count in processes:
        difference, same = differences(exact[processes[0]], exact[count])
        ranks = [json.loads(path.read_text()) for path in timed[count].glob("traffic_*.json")]
        steps, wall = ranks[0]["steps"], max(rank["wall"] for rank in ranks)
        share = sum(rank["seconds"] for rank in ranks) / sum(rank["wall"] for rank in ranks)
        messages, size = ranks[0]["messages"] / steps, ranks[0]["bytes"] / steps
        print(
            f"| {count} | {difference:.0e} | {'the same' if same else 'another'} | {1000 * wall / steps:.1f} | "
            f"{100 * share:.1f} % | {messages:.1f} | {size / 1024:.0f} |"
        )
    print("\n| devices | " + " | ".join(f"{name} [ms]" for name in LINKS) + " |")
    print("|---" * (1 + len(LINKS)) + "|")
    for count in projected:
        times = [
            1000 * (2 * (count - 1) / count * size / rate + messages * 2 * (count - 1) * latency)
            for rate, latency in LINKS.values()
        ]
        print(f"| {count} | " + " | ".join(f"{value:.2f}" for value in times) + " |")


def search(folder: Path, processes: int, *settings: str, sync: bool = False) -> Path:
    """A search in so many processes; its folder."""
    several = ("trainer=ddp", f"trainer.devices={processes}", f"trainer.sync_batchnorm={str(sync).lower()}")
    command = [
        sys.executable, str(ROOT / "search.py"), *(several if processes > 1 else ("trainer=auto",)),
        "trainer.accelerator=cpu", *SETTINGS, *settings, f"hydra.run.dir={folder}",
        f"+callbacks.traffic={{_target_: benchmarks.scaling.Traffic, folder: {folder}}}",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return folder


def differences(one: Path, other: Path) -> tuple[float, bool]:
    """The largest difference in what was measured, and whether the genotypes of all epochs are the same."""
    rows = [list(csv.DictReader((folder / "history.csv").open())) for folder in (one, other)]
    largest, same = 0.0, True
    for mine, theirs in zip(*rows, strict=True):
        same = same and mine["genotype"] == theirs["genotype"]
        for name in set(mine) - {"genotype", "seconds", "time/step"}:
            largest = max(largest, abs(float(mine[name]) - float(theirs[name])))
    return largest, same


if __name__ == "__main__":
    main()
