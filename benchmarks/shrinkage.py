"""What shrinkages leave of NAS-Bench-201, judged by the table: python -m benchmarks.shrinkage

A random forest on GRAF is fitted on the CIFAR-10 validation accuracies of 128 random valid architectures; it is all
that the shrinkages know. Judged by test accuracies after 200 epochs. All pools have ``--smallest`` architectures;
operation pruning leaves k^6, here 729 and 64. Two rows tell what locality saves:

best of all        the best by the forest of all valid architectures
best of a sample   the best by the forest of as many random ones as LISSNAS has scored

queries     architectures scored by the forest
mean, best  test accuracy of what is left
0.5 %, 1 %  the share of the truly best so many of the space that is left
distance    the mean number of edges on which two of them differ (4.8 in the whole space)
entropy     of an edge's operations, in bits (2.32 in the whole space)
seconds     by the clock, without the fit

With ``--estimator table`` scores are the validation accuracies after 12 epochs; ``--locality`` prints how alike near
architectures are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.estimators.base import Estimator, Task
from supernet.estimators.features.graf import GRAF
from supernet.estimators.predictors.forest import Forest
from supernet.samples import Samples
from supernet.shrinkage.base import Shrunk, kept, ordered
from supernet.shrinkage.controls import Random
from supernet.shrinkage.lissnas import LISSNAS
from supernet.shrinkage.locality import autocorrelation, correlogram, random_walk
from supernet.shrinkage.operations import Operations
from supernet.shrinkage.report import SHARES, Report, report

SPACE = NASBench201()
TABLE = NASBench201Table()
COLUMNS = (
    "size",
    "queries",
    "mean",
    "best",
    *(f"{100 * share:g} %" for share in SHARES),
    "distance",
    "entropy",
    "seconds",
)


class Known(Estimator):
    """Gives each architecture the score that is known of it."""

    def __init__(self, scores: dict[Architecture, float]) -> None:
        self.scores = scores

    def score(self, architectures: Any) -> Tensor:
        """See `Estimator.score`."""
        return torch.tensor([self.scores[one] for one in architectures], dtype=torch.float64)


def task(seed: int) -> Task:
    """A task without images: nothing here looks at any."""
    return Task(SPACE, Samples.of(torch.zeros(20, 3, 32, 32), torch.arange(20) % 10, 10, seed), seed)


def accuracies(dataset: str, epochs: int | None = None) -> dict[Architecture, float]:
    """By architecture, in the order of the table."""
    return dict(zip(benchmark_order(), TABLE.accuracies(dataset, epochs).tolist(), strict=True))


def forest(seed: int, count: int) -> Estimator:
    """A forest on GRAF, fitted on so many random valid architectures."""
    known = accuracies("cifar10-valid")
    valid = [one for one in known if SPACE.is_valid(one)]
    order = torch.randperm(len(valid), generator=torch.Generator().manual_seed(seed))[:count]
    chosen = [valid[index] for index in order.tolist()]
    where = task(seed)
    return Forest(where, GRAF(where)).fit(chosen, [known[one] for one in chosen])


def best_of(estimator: Estimator, architectures: list[Architecture], size: int) -> Shrunk:
    """The control that keeps the best-scored of some architectures."""
    values = estimator.score(architectures)
    order = ordered(values)[:size]
    return kept(SPACE, [architectures[index] for index in order.tolist()], 0.0, values[order])


def rows(estimator: Estimator, seed: int, size: int, settings: dict[str, Any]) -> dict[str, list[float]]:
    """By shrinkage the columns of the table."""
    truth = accuracies("cifar10")
    where = task(seed)
    found: dict[str, list[float]] = {}

    def row(name: str, shrink: Callable[[], Shrunk], queries: int | None = None) -> Shrunk:
        start = time.perf_counter()
        outcome = shrink()
        seconds = time.perf_counter() - start
        found[name] = columns(report(SPACE, outcome.space, truth), queries or outcome.effort.networks, seconds)
        return outcome

    lissnas = LISSNAS(lambda _: estimator, smallest=size, kappa=0.0, **settings)
    outcome = row("lissnas", lambda: lissnas(where))
    valid = [one for one in SPACE.enumerate() if SPACE.is_valid(one)]
    generator = torch.Generator().manual_seed(seed)
    some = [
        valid[index] for index in torch.randperm(len(valid), generator=generator)[: outcome.effort.networks].tolist()
    ]
    row("best of all", lambda: best_of(estimator, valid, size), len(valid))
    row("best of a sample", lambda: best_of(estimator, some, size), len(some))
    for keep in (3, 2):
        row(f"operations, keep {keep}", lambda keep=keep: Operations(lambda _: estimator, keep=keep)(where))  # type: ignore[misc]
    row("random", lambda: Random(size)(where))
    return found


def columns(found: Report, queries: int, seconds: float) -> list[float]:
    """See `COLUMNS`."""
    assert found.quality is not None
    _, _, mean, best, retention = astuple(found.quality)
    return [found.size, queries, mean, best, *retention.values(), found.distance, found.entropy, seconds]


def locality() -> None:
    """Print the correlograms of three tables, and the autocorrelation of a walk."""
    architectures = list(benchmark_order())
    for dataset, epochs in (("cifar10-valid", 200), ("cifar10-valid", 12), ("cifar100-valid", 12)):
        values = torch.from_numpy(TABLE.accuracies(dataset, epochs))
        found = correlogram(architectures, values)
        for name in ("pearson", "spearman"):
            print(f"{dataset}, {epochs} epochs, {name}:", " ".join(f"{value:.3f}" for value in getattr(found, name)))
    known = accuracies("cifar10-valid")
    walk = random_walk(SPACE, 20_000, torch.Generator().manual_seed(0))
    series = autocorrelation(torch.tensor([known[one] for one in walk]), 8)
    print("random walk of 20,000 steps:", " ".join(f"{value:.3f}" for value in series))


def main() -> None:
    """Print the table, means and deviations over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--estimator", choices=("forest", "table"), default="forest")
    parser.add_argument("--train", type=int, default=128, help="architectures that the forest is fitted on")
    parser.add_argument("--smallest", type=int, default=500)
    parser.add_argument("--n-archs", type=int, default=1000)
    parser.add_argument("--locality", action="store_true")
    arguments = parser.parse_args()
    if arguments.locality:
        locality()
        return
    found: dict[str, list[list[float]]] = {}
    for seed in arguments.seeds:
        scores = accuracies("cifar10-valid", 12)
        estimator = Known(scores) if arguments.estimator == "table" else forest(seed, arguments.train)
        for name, row in rows(estimator, seed, arguments.smallest, {"n_archs": arguments.n_archs}).items():
            found.setdefault(name, []).append(row)
    print(f"| {' | '.join(('', *COLUMNS))} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for name, several in found.items():
        table = np.array(several)
        cells = [f"{mean:.2f}±{deviation:.2f}" for mean, deviation in zip(table.mean(0), table.std(0), strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
