"""What warm starts drop on NAS-Bench-201, judged by the table, which no warm start sees.

    python -m benchmarks.warm_start data.root=/path/to/images --warm-starts kernel meco --seeds 0 1 2

Truth is what an operation adds to the mean test accuracy on CIFAR-10 of all 15,625 architectures (its main effect). For
each warm start, over its seeds:

rho         Spearman's correlation of its scores with the truth, of all 30 pairs of an edge and an operation
worst       how many of the 10 truly worst pairs it dropped
skip        how often skip_connect stayed on the edge from the input to the output, where the best architectures have it
best        how often the most accurate architecture stayed
none        on how many of the six edges `none` scores lowest or second lowest
mean        mean accuracy of the architectures left (87.06 of all)
inverted    the same with its signs turned, so that what it takes for the best goes
RS10        expected test accuracy of the best by validation of ten random architectures that are left (92.98 of all)
seconds     by the clock, and of processor time for each network

A result that is already in the folder is not measured again.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from scipy.stats import spearmanr
from torch import Tensor

from search_spaces.nasbench201 import CELL, NONE, SKIP, NASBench201
from search_spaces.space import SearchSpace
from supernet.assembly import build_space
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.compose import build
from supernet.data.images import Images
from supernet.data.sampling import samples
from supernet.estimators.base import Task
from supernet.launch import CONF
from supernet.samples import Samples
from supernet.warm_start import record
from supernet.warm_start.base import Outcome, WarmStart
from supernet.warm_start.pruning import Pruning
from supernet.warm_start.regression import effects

NAMES = ("kernel", "kernel_removal", "meco", "knas", "random", "parameters", "live_convolutions", "largest", "rule")
SPACE = NASBench201()
WORST = 10


class Truth:
    """The table's test and validation accuracies, and the main effects of operations."""

    @cached_property
    def accuracies(self) -> tuple[Tensor, Tensor]:
        """Test and validation accuracy of all architectures, in the order of `NASBench201.enumerate`."""
        table = NASBench201Table()
        return tuple(
            torch.tensor([table.query(one, name).accuracy for one in SPACE.enumerate()], dtype=torch.float64)
            for name in ("cifar10", "cifar10-valid")
        )  # type: ignore[return-value]

    @cached_property
    def choices(self) -> Tensor:
        """The operation on each edge ``(15625, 6)``."""
        return torch.tensor([one[CELL] for one in SPACE.enumerate()])

    @cached_property
    def effects(self) -> Tensor:
        """``(edges, operations)``."""
        return effects(SPACE, list(SPACE.enumerate()), self.accuracies[0])[CELL]

    def left(self, space: SearchSpace) -> Tensor:
        """Which architectures are left."""
        return space.allowed[CELL][torch.arange(6), self.choices].all(dim=1)

    def random_search(self, space: SearchSpace, draws: int = 10) -> float:
        """Expected test accuracy of the best by validation of so many random architectures."""
        test, valid = (column[self.left(space)] for column in self.accuracies)
        shares = np.arange(len(test) + 1) / len(test)
        chance = np.diff(shares**draws)  # that the one of this rank, from the worst, is the best drawn
        return float((test[valid.argsort()].numpy() * chance).sum())


TRUTH = Truth()


@dataclass(frozen=True)
class Result:
    """One warm start with one seed."""

    outcome: Outcome
    processor: float

    @property
    def figures(self) -> dict[str, float]:
        """What the table of results has; NaN for what needs scores."""
        space, truth = self.outcome.space, TRUTH.effects
        gone = set((~space.allowed[CELL]).flatten().nonzero().flatten().tolist())
        found = {
            "rho": torch.nan, "worst": len(gone & set(truth.flatten().argsort()[:WORST].tolist())),
            "skip": bool(space.allowed[CELL][SPACE.edges[CELL].index((0, 3)), SKIP]),
            "best": bool(TRUTH.left(space)[TRUTH.accuracies[0].argmax()]), "none": torch.nan,
            "mean": float(TRUTH.accuracies[0][TRUTH.left(space)].mean()), "inverted": torch.nan,
            "RS10": TRUTH.random_search(space), "seconds": self.outcome.effort.seconds,
            "per network": self.processor / max(1, self.outcome.effort.networks),
        }  # fmt: skip
        if self.outcome.scores is not None:
            scores = self.outcome.scores[CELL]
            found["rho"] = float(spearmanr(scores.flatten(), truth.flatten()).statistic)
            found["none"] = int((scores.argsort(dim=1).argsort(dim=1)[:, NONE] < 2).sum())
            turned = Pruning()(SPACE, {CELL: -scores})
            found["inverted"] = float(TRUTH.accuracies[0][TRUTH.left(turned)].mean())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", help="of the data and the warm starts; data.root=... is needed")
    parser.add_argument("--workers", type=int, help="processes, all cores unless given")
    parser.add_argument("--warm-starts", nargs="*", default=NAMES)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(10)))
    parser.add_argument("--permuted", action="store_true", help="also `kernel` with the labels permuted")
    parser.add_argument("--folder", type=Path, default=Path("logs/warm_start"))
    args = parser.parse_args()
    rows = {}
    for name in args.warm_starts:
        rows[name] = [measure(name, seed, args) for seed in args.seeds]
        print(line(name, rows[name]), flush=True)
    print("\n" + header(rows["kernel"] if "kernel" in rows else next(iter(rows.values()))))
    for name, results in rows.items():
        print(line(name, results))
    if args.permuted and "kernel" in rows:
        for seed, result in zip(args.seeds, rows["kernel"], strict=True):
            other = measure("kernel", seed, args, permuted=True)
            pair = [one.outcome.scores[CELL].flatten() for one in (result, other) if one.outcome.scores]
            print(f"seed {seed}: scores with true and with permuted labels: rho {spearmanr(*pair).statistic:.3f}")


def header(results: list[Result]) -> str:
    names = list(results[0].figures)
    return "| | seeds | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|"


def line(name: str, results: list[Result]) -> str:
    columns = [[one.figures[key] for one in results] for key in results[0].figures]
    return f"| `{name}` | {len(results)} | " + " | ".join(f"{np.mean(column):.2f}" for column in columns) + " |"


def measure(name: str, seed: int, args: argparse.Namespace, permuted: bool = False) -> Result:
    """The outcome of a warm start with a seed for design, weights and images; from its file where there is one."""
    place = args.folder / f"{name}{'_permuted' if permuted else ''}_{seed}"
    path = place / record.FILE
    if path.exists():
        return Result(record.load(path, SPACE), json.loads((place / "processor.json").read_text()))
    cfg = configuration(name, *args.settings)
    if "workers" in cfg.warm_start:
        cfg.warm_start.workers, cfg.warm_start.folder = args.workers, None
    images = images_of(*args.settings)
    task = Task(build_space(cfg.search_space, images), samples(images, seed), seed)
    if permuted:
        task = replace(task, samples=relabelled(task.samples, seed))
    warm_start: WarmStart = build(cfg.warm_start, "warm_start")
    before = processor()
    outcome = warm_start(task)
    used = processor() - before
    place.mkdir(parents=True, exist_ok=True)
    record.save(place, task.space, outcome, name, {})
    (place / "processor.json").write_text(json.dumps(used))
    return Result(outcome, used)


def configuration(name: str, *settings: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("search", ["search_space=nasbench201", "data=image_folder", f"warm_start={name}", *settings])


@functools.cache
def images_of(*settings: str) -> Images:
    """The images, always in the same halves; which of them are looked at depends on the seed of a run."""
    return build(configuration("none", *(one for one in settings if not one.startswith("warm_start"))).data, "data")


def relabelled(old: Samples, seed: int) -> Samples:
    """The same images with the labels of others."""
    mixed = torch.randperm(len(old.labels), generator=torch.Generator().manual_seed(seed))
    return Samples(old.labels[mixed], old.load, old.image, old.num_classes, old.seed)


def processor() -> float:
    """Processor seconds of this process and of those it began that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
