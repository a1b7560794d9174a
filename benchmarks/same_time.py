"""Warm starts compared at the same total time: the seconds a filter takes are taken from the epochs of its search.

    python -m benchmarks.same_time --data data.root=/path/to/images --jobs 2

The budget is what ``--epochs`` epochs take without a warm start. A short search (``probe``) with each warm start tells
what its filter and an epoch of the supernet it leaves take; its searches get as many epochs as fit, rounded to the
nearest whole number. All processes have the same number of threads, and the filters no more workers than that.
"""

from __future__ import annotations

import csv
import itertools
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from omegaconf import OmegaConf

from benchmarks.searches import HEADER, REDUCED, arguments, controls, found, row, run
from supernet.launch import CONF

SEARCHES = {
    "softmax, first order": ("relaxation=softmax", "formulation=first_order"),
    "Dirichlet, mixed level": ("relaxation=dirichlet", "formulation=mixed_level"),
}
WARM_STARTS = ("none", "kernel", "meco", "knas", "random", "parameters", "live_convolutions", "largest", "rule")
MANY = ("none", "kernel")  # with all seeds; the others with the first three
PROBED = 4  # epochs of a probe; the first is left out of the mean


def main() -> None:
    parser = arguments(__doc__, "logs/same_time", seeds=range(5))
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--warm-starts", nargs="*", default=WARM_STARTS)
    parser.add_argument("--extra", nargs="*", default=[], help="further settings of searches with a warm start")
    args = parser.parse_args()

    def place(search: str, warm: str, seed: int | str) -> Path:
        return args.folder / f"{search.split(',')[0].lower()}_{warm}_{seed}"

    def settings(search: str, warm: str, seed: int, epochs: int) -> tuple[str, ...]:
        filtered: tuple[str, ...] = () if warm == "none" else (f"warm_start={warm}", *args.extra)
        if warm != "none" and "workers" in OmegaConf.load(CONF / "warm_start" / f"{warm}.yaml"):
            filtered += (f"warm_start.workers={args.threads}",)
        return (*SEARCHES[search], *REDUCED, *filtered, *args.data, f"seed={seed}", f"epochs={epochs}")

    with ThreadPoolExecutor(args.jobs) as pool:
        probes = [(search, warm) for search in SEARCHES for warm in dict.fromkeys(("none", *args.warm_starts))]
        list(
            pool.map(lambda one: run(settings(*one, args.seeds[0], PROBED), place(*one, "probe"), args.threads), probes)
        )
        epochs = {}
        for search, warm in probes:
            filtering, each = timing(place(search, warm, "probe"))
            budget = args.epochs * timing(place(search, "none", "probe"))[1]
            epochs[search, warm] = max(1, round((budget - filtering) / each))
            print(f"{search}, {warm}: {filtering:.0f} s + {epochs[search, warm]} x {each:.1f} s", flush=True)
        runs = [
            (search, warm, seed)
            for seed in args.seeds
            for search in SEARCHES
            for warm in args.warm_starts
            if warm in MANY or seed in args.seeds[:3]
        ]
        list(
            pool.map(
                lambda one: run(settings(*one, epochs[one[:2]]), place(*one), args.threads),
                runs,
            )
        )
    lines = []
    for search in SEARCHES:
        lines += [f"\n{search}\n", HEADER]
        for warm in args.warm_starts:
            searches = [found(place(search, warm, seed)) for seed in args.seeds]
            if ended := [one for one in searches if one is not None]:
                lines.append(row(f"`{warm}`, {epochs[search, warm]} epochs", ended))
        lines += controls()
    text = "\n".join(lines) + "\n"
    (args.folder / "same_time.md").write_text(text)
    print(text)


def timing(folder: Path) -> tuple[float, float]:
    """Seconds of the filter, and mean seconds of an epoch after the first."""
    with (folder / "history.csv").open(newline="") as file:
        seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    report = folder / "warm_start.json"
    filtering = json.loads(report.read_text())["seconds"] if report.exists() else 0.0
    return filtering, statistics.mean(after - before for before, after in itertools.pairwise(seconds))


if __name__ == "__main__":
    main()
