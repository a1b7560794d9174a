"""Warm starts compared at the same total time: the seconds a filter takes are taken from the epochs of its search.

    python -m benchmarks.same_time --data data.root=/path/to/images data.size=16 data.num_images=10000 --jobs 2
    python -m benchmarks.same_time --space darts --data ...

The budget is what ``--epochs`` epochs take without a warm start. Two short searches (``probe``) with each warm start
tell what its filter and an epoch of the supernet it leaves take; its searches get as many epochs as fit, rounded to the
nearest whole number. Time is that of the processor, which other work on the machine does not change; all processes have
the same number of threads, and the filters no more workers than that.

On NAS-Bench-201 what is found is judged by its table. DARTS's space has none: there each network that is found is
trained for a few epochs, all alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from benchmarks.searches import HEADER, REDUCED, Found, arguments, by_table, by_training, controls, row, run, train
from supernet.launch import CONF

SEARCHES = {
    "softmax, first order": ("relaxation=softmax", "formulation=first_order"),
    "Dirichlet, mixed level": ("relaxation=dirichlet", "formulation=mixed_level"),
}
WARM_STARTS = ("none", "kernel", "meco", "knas", "random", "parameters", "live_convolutions", "largest", "rule")
MANY = ("none", "kernel")  # with all seeds; the others with the first three
PROBED = (1, 7)  # epochs of the probes: some apart, as the processor time of a search varies by half a second


@dataclass(frozen=True)
class Task:
    """A search space at a size that a processor can search, and how what is found is judged."""

    settings: tuple[str, ...]
    epochs: int
    judged: Callable[[Path], Found | None]
    training: tuple[str, ...] = ()  # settings of the training of what is found; none where a table knows
    controls: Callable[[], list[str]] = list


TASKS = {
    "nasbench201": Task(REDUCED, 25, by_table, controls=controls),
    "darts": Task(
        (
            "search_space=darts", "search_space.channels=4", "search_space.layers=3", "data=image_folder",
            "batch_size=64", "logger=none", "trainer=cpu",
        ),
        10, by_training,
        (
            "search_space.channels=8", "search_space.layers=5", "search_space.auxiliary=false", "epochs=10",
            "data=image_folder", "batch_size=64", "cutout=0", "drop_path=0", "logger=none", "trainer=cpu",
        ),
    ),
}  # fmt: skip


def main() -> None:
    parser = arguments(__doc__, "logs/same_time", seeds=range(5))
    parser.add_argument("--space", choices=TASKS, default="nasbench201")
    parser.add_argument("--epochs", type=int, help="the budget: of a search without a warm start")
    parser.add_argument("--warm-starts", nargs="*", default=WARM_STARTS)
    parser.add_argument("--extra", nargs="*", default=[], help="of the warm starts that have them: n_archs=300")
    args = parser.parse_args()
    task = TASKS[args.space]
    budget_epochs = args.epochs or task.epochs
    folder = args.folder / args.space

    def place(search: str, warm: str, seed: int | str) -> Path:
        return folder / f"{search.split(',')[0].lower()}_{warm}_{seed}"

    def settings(search: str, warm: str, seed: int, epochs: int) -> tuple[str, ...]:
        known = OmegaConf.load(CONF / "warm_start" / f"{warm}.yaml") or {}
        further = [one for one in (f"workers={args.threads}", *args.extra) if one.partition("=")[0] in known]
        filtered = (f"warm_start={warm}", *(f"warm_start.{one}" for one in further))
        return (*SEARCHES[search], *task.settings, *filtered, *args.data, f"seed={seed}", f"epochs={epochs}")

    def probe(search: str, warm: str, length: int) -> None:
        run(settings(search, warm, args.seeds[0], length), place(search, warm, f"probe_{length}"), args.threads)

    def whole(search: str, warm: str, seed: int) -> None:
        run(settings(search, warm, seed, epochs[search, warm]), place(search, warm, seed), args.threads)
        if task.training:
            train((*task.training, *args.data, f"seed={seed}"), place(search, warm, seed), args.threads)

    with ThreadPoolExecutor(args.jobs) as pool:
        kinds = [(search, warm) for search in SEARCHES for warm in dict.fromkeys(("none", *args.warm_starts))]
        probes = [(*kind, length) for kind in kinds for length in PROBED]
        list(pool.map(lambda one: probe(*one), probes))
        epochs = {}
        for search, warm in kinds:
            (start, each), (without, unfiltered) = (
                timing([place(search, name, f"probe_{length}") for length in PROBED]) for name in (warm, "none")
            )
            filtering = start - without
            epochs[search, warm] = max(1, round((budget_epochs * unfiltered - filtering) / each))
            print(f"{search}, {warm}: {filtering:.1f} s + {epochs[search, warm]} x {each:.2f} s", flush=True)
        runs = [
            (search, warm, seed)
            for seed in args.seeds
            for search in SEARCHES
            for warm in args.warm_starts
            if warm in MANY or seed in args.seeds[:3]
        ]
        list(pool.map(lambda one: whole(*one), runs))
    lines = []
    for search in SEARCHES:
        lines += [f"\n{search}\n", HEADER.replace("table accuracy", "test accuracy") if task.training else HEADER]
        for warm in args.warm_starts:
            searches = [task.judged(place(search, warm, seed)) for seed in args.seeds]
            if ended := [one for one in searches if one is not None]:
                lines.append(row(f"`{warm}`, {epochs[search, warm]} epochs", ended))
        lines += task.controls()
    text = "\n".join(lines) + "\n"
    (folder / "same_time.md").write_text(text)
    print(text)


def timing(probes: Sequence[Path]) -> tuple[float, float]:
    """Processor seconds of everything but the epochs, and of an epoch, from searches of `PROBED` epochs."""
    first, second = (json.loads((folder / "usage.json").read_text())["processor"] for folder in probes)
    each = (second - first) / (PROBED[1] - PROBED[0])
    return first - PROBED[0] * each, each


if __name__ == "__main__":
    main()
