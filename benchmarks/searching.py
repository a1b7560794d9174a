"""Search algorithms compared by the table of NAS-Bench-201: which finds what, with how many architectures scored.

The score is the validation accuracy after 200 epochs (``cifar10-valid``); what counts is the test accuracy
(``cifar10``) of the architecture with the best score so far. Every algorithm begins with the same seeds and scores no
architecture twice.

    python benchmarks/searching.py --seeds 20

writes ``searching.csv`` (a line for each algorithm and seed: both accuracies at each budget, and the seconds) and
``searching.png`` (means over the seeds), and prints a table. A search is a function of its seed, and lines that are
there are not computed again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.drawing import PALETTE
from supernet.estimators.base import Task
from supernet.estimators.features.graf import GRAF
from supernet.estimators.features.remembered import Remembered
from supernet.estimators.predictors.forest import Forest
from supernet.evaluation.figures import clean, empty, save
from supernet.samples import Samples
from supernet.searchers.evolution import evolve
from supernet.searchers.history import History, Score
from supernet.searchers.local_search import local_search
from supernet.searchers.predictor_guided import predictor_guided
from supernet.searchers.regularized_evolution import regularized_evolution
from supernet.selection.journal import Journal

SPACE, TABLE = NASBench201(), NASBench201Table()
BUDGETS = (25, 50, 100, 150, 200)
VALID, TEST = "cifar10-valid", "cifar10"
Generator = torch.Generator


def validation(architectures: Sequence[Architecture]) -> list[float]:
    """What the searches see."""
    return [TABLE.query(architecture, VALID).accuracy for architecture in architectures]


def random_search(generator: Generator) -> list[Architecture]:
    """Different architectures, uniformly."""
    return History(SPACE, validation, BUDGETS[-1]).begin(BUDGETS[-1], generator)


def regularised(population: int, tournament: int) -> Callable[[Generator], list[Architecture]]:
    """Real et al., 2019."""
    return lambda generator: list(
        regularized_evolution(
            SPACE, validation, generator, budget=BUDGETS[-1], population=population, tournament=tournament
        ).scores
    )


def local(step: int | None) -> Callable[[Generator], list[Architecture]]:
    """White, Nolen and Savani, 2021."""
    return lambda generator: list(local_search(SPACE, validation, generator, budget=BUDGETS[-1], step=step).scores)


def guided(generator: Generator) -> list[Architecture]:
    """A random forest on graph features, 20 random architectures, then 10 between two fits."""
    task = Task(SPACE, Samples.of(torch.zeros(2, 3, 8, 8), torch.arange(2), 2), generator.initial_seed())
    features = Remembered(GRAF(task))

    def fit(architectures: Sequence[Architecture], scores: Sequence[float]) -> Score:
        forest = Forest(task, features).fit(architectures, scores)
        return lambda few: forest.score(few).tolist()

    return list(predictor_guided(SPACE, validation, generator, fit, budget=BUDGETS[-1]).scores)


def spos(population: int, survivors: int) -> Callable[[Generator], list[Architecture]]:
    """Guo et al., 2020, with as many generations as the budget allows."""

    def search(generator: Generator) -> list[Architecture]:
        found = evolve(
            SPACE, validation, generator,
            population=population, generations=BUDGETS[-1] // population, survivors=survivors,
        )  # fmt: skip
        return [architecture for generation in found.generations for architecture, _ in generation]

    return search


ALGORITHMS: dict[str, Callable[[Generator], list[Architecture]]] = {
    "random search": random_search,
    "regularised evolution, 10 alive, 3 drawn": regularised(10, 3),
    "regularised evolution, 50 alive, 10 drawn": regularised(50, 10),
    "SPOS's evolution, generations of 20": spos(20, 5),
    "local search": local(None),
    "local search, first improvement": local(1),
    "predictor-guided": guided,
}


def measure(search: Callable[[Generator], list[Architecture]], seed: int) -> list[float]:
    """Test accuracy of the best so far, and its validation accuracy, at each budget."""
    found = search(Generator().manual_seed(seed))
    assert len(found) == len(set(found)) == BUDGETS[-1]
    scores = validation(found)
    best = [max(range(budget), key=scores.__getitem__) for budget in BUDGETS]
    return [*(TABLE.query(found[index], TEST).accuracy for index in best), *(scores[index] for index in best)]


def draw(results: dict[str, np.ndarray], optimum: float) -> Figure:
    """Mean test accuracy over the budget, with the standard error of the mean."""
    figure = empty(8.6, 5.0)
    ax = figure.subplots()
    for index, (name, rows) in enumerate(results.items()):
        tests = rows[:, : len(BUDGETS)]
        colour = "#333333" if not index else PALETTE[(index - 1) % len(PALETTE)]
        error = tests.std(axis=0, ddof=1) / len(tests) ** 0.5
        ax.errorbar(
            BUDGETS, tests.mean(axis=0), error, color=colour, marker="o", markersize=4, capsize=2, label=name,
            linestyle="--" if not index else "-",
        )  # fmt: skip
    ax.axhline(optimum, color="#C4C4C4", linewidth=1)
    ax.text(BUDGETS[0], optimum, "the best by validation of all 15,625", fontsize=8, va="bottom", color="#777777")
    ax.set_xlabel("architectures scored")
    ax.set_ylabel("test accuracy of the best so far [%]")
    ax.legend(loc="lower right", fontsize=8, frameon=False)
    clean(ax)
    return figure


def main() -> None:
    """Run, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("logs/searching"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    columns = [f"{dataset}@{budget}" for dataset in (TEST, VALID) for budget in BUDGETS]
    journal = Journal(options.folder / "searching.csv", ("algorithm", "seed"), columns)
    results = {}
    for name, search in ALGORITHMS.items():
        start = time.perf_counter()
        rows = [journal((name, seed), lambda: measure(search, seed)) for seed in range(options.seeds)]  # noqa: B023
        results[name] = np.array(rows)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    best = max(SPACE.enumerate(), key=lambda one: validation([one])[0])
    optimum = TABLE.query(best, TEST).accuracy
    save(draw(results, optimum), options.folder / "searching.png")
    chosen = [BUDGETS.index(budget) for budget in (50, 100, 200)]
    print("\n| algorithm | 50 scored | 100 | 200 | best by validation found |\n|---|---|---|---|---|")
    for name, found in results.items():
        cells = [f"{found[:, i].mean():.2f} ± {found[:, i].std(ddof=1):.2f}" for i in chosen]
        share = (found[:, -1] == validation([best])[0]).mean()
        print(f"| {name} | {' | '.join(cells)} | {100 * share:.0f} % |")
    print(f"| the best by validation of all | | | {optimum:.2f} | |")


if __name__ == "__main__":
    main()
