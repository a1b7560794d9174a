"""One-shot rankings judged by the table: python -m benchmarks.one_shot --data data.root=/path/to/images data.size=16

Supernets are trained by single paths: of all of NAS-Bench-201, of one architecture of each class that computes the
same (``deisomorphic``), and of what LISSNAS leaves (``lissnas``, scored by a forest on GRAF that is fitted on 128
architectures of the table). The first two rank ``--architectures`` valid ones; the first and the third as many of
what LISSNAS leaves, which are harder to tell apart. Numbers are Kendall's tau with test accuracies:

accuracy, loss   on 40 batches of 64 held-out images, statistics of batch norm taken anew for every architecture
three            the same, mean over the last three checkpoints, ``--every`` epochs apart
inherited        with the statistics of the supernet
one batch        one batch of held-out images
seconds          an architecture takes with one checkpoint, 40 batches and new statistics

Runs that are already there are not repeated.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.searches import REDUCED, SPACE, arguments, run
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.evaluation.correlation import kendall

SETTINGS = (
    *REDUCED, "search_space.channels=16", "data.valid_fraction=0.2", "trainer.limit_val_batches=4",
    "relaxation=uniform", "formulation=first_order", "weight_optimizer.lr=0.05",
    "weight_optimizer.nesterov=true", "weight_optimizer.weight_decay=5e-4", "scheduler.eta_min=0.001",
    "selection=evolution", "selection.population=2", "selection.generations=1", "selection.survivors=1",
    "selection.batches=1", "selection.recalibration_batches=1",
)  # fmt: skip
FITTED = 128  # architectures that LISSNAS's forest knows
EVALUATIONS = {
    "new": ("estimator.batches=40", "estimator.checkpoints=3"),
    "inherited": ("estimator.batches=40", "estimator.recalibration_batches=0"),
    "batch": ("estimator.batches=1",),
}
HEADER = (
    "| trained by single paths of | ranked | accuracy | loss | three, accuracy | three, loss | inherited, accuracy "
    "| inherited, loss | one batch, accuracy | one batch, loss | seconds |\n" + "|---" * 11 + "|"
)


def draw(count: int, seed: int, among: Sequence[str]) -> list[str]:
    """So many of these, each once."""
    order = torch.randperm(len(among), generator=torch.Generator().manual_seed(seed))
    return [among[index] for index in order[:count].tolist()]


def write(path: Path, architectures: Sequence[str], accuracies: Sequence[float] = ()) -> Path:
    """A csv file of architectures, with the accuracies if any are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "accuracy"] if accuracies else ["arch"])
        writer.writerows(
            zip(architectures, accuracies, strict=True) if accuracies else ([one] for one in architectures)
        )
    return path


def read(path: Path) -> dict[str, list[str]]:
    """The columns of a csv file."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def truth(architectures: Sequence[str], dataset: str) -> list[float]:
    """The table's accuracies in percent."""
    table = NASBench201Table()
    return [table.query(SPACE.parse(one), dataset).accuracy for one in architectures]


def line(name: str, ranked: str, folder: Path) -> str:
    """A row of the table from the evaluations in a folder."""
    found = {kind: read(folder / kind / "scores.csv") for kind in EVALUATIONS}
    true = truth(found["new"]["arch"], "cifar10")
    columns = {name.rpartition("_")[2]: None for name in found["new"] if name.startswith("accuracy_")}
    last = max(columns, key=int)

    def tau(kind: str, *names: str, sign: int = 1) -> float:
        """Of the mean of these columns."""
        values = torch.tensor([[float(value) for value in found[kind][one]] for one in names], dtype=torch.float64)
        return kendall(sign * values.mean(dim=0), true)

    taus = [
        tau("new", f"accuracy_{last}"),
        tau("new", f"loss_{last}", sign=-1),
        tau("new", *(f"accuracy_{one}" for one in columns)),
        tau("new", *(f"loss_{one}" for one in columns), sign=-1),
        *(
            tau(kind, one, sign=sign)
            for kind in ("inherited", "batch")
            for one, sign in (("accuracy", 1), ("loss", -1))
        ),
    ]
    seconds = sum(map(float, found["new"]["seconds"])) / len(true) / len(columns)
    return f"| {name} | {ranked} | {' | '.join(f'{one:.3f}' for one in taus)} | {seconds:.2f} |"


def supernets(folder: Path, seed: int, valid: Sequence[str], args: argparse.Namespace) -> None:
    """Train them, each in a folder of its name."""
    known = draw(FITTED, seed, valid)
    trained = write(folder / "trained.csv", known, truth(known, "cifar10-valid"))
    forest = ("estimator@shrinkage.estimator=predictor", f"shrinkage.estimator.trained={trained}")
    common = (*SETTINGS, f"epochs={args.epochs}", f"checkpoint_every={args.every}", f"seed={seed}", *args.data)

    def train(name: str) -> None:
        settings = (f"shrinkage={name}", *(forest if name == "lissnas" else ()))
        run((*common, *settings), folder / name, args.threads)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(train, ("none", "deisomorphic", "lissnas")))


def rank(supernet: Path, architectures: Path, folder: Path, args: argparse.Namespace) -> None:
    """All evaluations of a supernet, in a folder."""
    for kind, settings in EVALUATIONS.items():
        common = (f"estimator.run={supernet}", f"architectures={architectures}", f"workers={args.jobs}")
        command = ("estimator=one_shot", *common, *settings)
        run(command, folder / kind, args.threads, ("-m", "supernet.evaluate"), "report.json")


def main() -> None:
    """Train, rank, and write the table."""
    parser = arguments(__doc__, "logs/one_shot", seeds=(0,))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--every", type=int, default=10, help="epochs between two checkpoints that are kept")
    parser.add_argument("--architectures", type=int, default=200)
    args = parser.parse_args()
    valid = [SPACE.format(one) for one in SPACE.enumerate() if SPACE.is_valid(one)]
    lines = [HEADER]
    for seed in args.seeds:
        folder = (args.folder / str(seed)).absolute()
        supernets(folder, seed, valid, args)
        left = read(folder / "lissnas" / "shrinkage.csv")["arch"]
        sets = {
            name: write(folder / f"{name}.csv", draw(args.architectures, seed, among))
            for name, among in (("valid", valid), ("left", left))
        }
        for name, which in (("none", "valid"), ("deisomorphic", "valid"), ("none", "left"), ("lissnas", "left")):
            place = folder / f"{name}_{which}"
            rank(folder / name, sets[which], place, args)
            lines.append(line(name, which, place))
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    (args.folder / "one_shot.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
