"""Every published method with the same small budget: what it finds, in what time, with what memory.

    python -m benchmarks.methods --data data.root=/path/to/images --seeds 0 1 2 --jobs 2

Each search is a process of its own with ``--threads`` threads. The table is written as Markdown; runs that are already
there are not repeated, so an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table

ROOT = Path(__file__).parents[1]
METHODS = (
    "darts_v1", "darts_v2", "gdas", "snas", "drnas", "drnas_progressive", "milenas", "milenas_second", "milenas_gdas",
    "idarts", "pc_darts", "pdarts", "fair_darts", "sdarts_rs", "sdarts_adv", "robust_darts", "spos",
)  # fmt: skip
REDUCED = ("data=image_folder", "search_space.channels=8", "batch_size=64", "logger=none", "trainer=cpu")
# What a paper gives in epochs, at the scale of a search of a tenth of its length.
SCALED = {
    "drnas_progressive": ("warmup_epochs=1",),
    "pc_darts": ("warmup_epochs=3",),
    "pdarts": (
        "warmup_epochs=1",
        "callbacks.stages.stages=[{at: 0.34, keep: 4, space: {cells_per_stage: 1}, skip_dropout: 0.4},"
        "{at: 0.67, keep: 3, space: {cells_per_stage: 1}, skip_dropout: 0.7}]",
    ),
    "spos": ("selection.population=20", "selection.generations=5"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--cells", type=int, default=1)
    parser.add_argument("--data", nargs="*", default=[], help="further settings, such as data.root=...")
    parser.add_argument("--folder", type=Path, default=Path("logs/methods"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    runs = [(method, seed) for seed in args.seeds for method in args.methods]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda one: run(*one, args), runs))
    text = table(args.folder, args.methods, args.seeds)
    (args.folder / "methods.md").write_text(text)
    print(text)


def run(method: str, seed: int, args: argparse.Namespace) -> None:
    """One search; its peak memory and processor time are those of its process (and of the workers that read data)."""
    folder = args.folder.absolute() / f"{method}_{seed}"
    if (folder / "genotype.json").exists():
        return
    command = [
        sys.executable, str(ROOT / "search.py"), f"experiment={method}", *REDUCED, f"epochs={args.epochs}",
        f"search_space.cells_per_stage={args.cells}", *args.data, *SCALED.get(method, ()), f"seed={seed}",
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    start = time.perf_counter()
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    print(f"{method} seed {seed}: exit {process.returncode}, {seconds:.0f} s", flush=True)
    used = {"seconds": seconds, "processor": usage.ru_utime + usage.ru_stime, "kilobytes": usage.ru_maxrss}
    (folder / "usage.json").write_text(json.dumps(used))


def table(folder: Path, methods: list[str], seeds: list[int]) -> str:
    """Mean and deviation over the seeds, next to an architecture drawn at random."""
    space, truth = NASBench201(), NASBench201Table()
    lines = [
        "| method | processor seconds | memory (MiB) | skips | table accuracy (%) | found, one a seed |",
        "|---|---|---|---|---|---|",
    ]
    for method in methods:
        found, seconds, memory = [], [], []
        for seed in seeds:
            place = folder / f"{method}_{seed}"
            if not (place / "genotype.json").exists():
                continue
            found.append(space.parse(json.loads((place / "genotype.json").read_text())["architecture"]))
            usage = json.loads((place / "usage.json").read_text())
            seconds.append(usage["processor"])
            memory.append(usage["kilobytes"] / 1024)
        if found:
            accuracies = [truth.query(architecture, "cifar10").accuracy for architecture in found]
            skips = statistics.mean(architecture["cell"].count(1) for architecture in found)
            names = "; ".join(f"`{space.short(architecture)}`" for architecture in found)
            lines.append(
                f"| `{method}` | {statistics.mean(seconds):.0f} | {max(memory):.0f} | {skips:.1f} "
                f"| {spread(accuracies)} | {names} |"
            )
    everything = [truth.query(architecture, "cifar10").accuracy for architecture in space.enumerate()]
    valid = [
        truth.query(architecture, "cifar10").accuracy
        for architecture in space.enumerate()
        if space.is_valid(architecture)
    ]
    lines.append(f"| drawn at random | 0 | | 1.2 | {spread(everything)} | all 15,625 |")
    lines.append(f"| drawn at random, connected | 0 | | | {spread(valid)} | {len(valid):,} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0:.2f}"


if __name__ == "__main__":
    main()
