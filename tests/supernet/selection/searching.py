"""What holds for every selection that searches among architectures by a score."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import torch

from search_spaces.nasbench201 import CELL
from supernet.estimators.constraint import Constraint
from supernet.estimators.cost import Cost
from supernet.selection.base import task_of
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection.planted import CONV, Convolutions, Ranked

PARAMETERS = functools.partial(Cost, unit="parameters")


def select(selection, folder: Path, estimator=Convolutions, space=SPACE, seed=0, **settings):
    """What a selection of this class chooses."""
    made = selection(folder, estimator, **{"workers": 1, **settings})
    return made.select(module(space=space, seed=seed), images())


def scores(folder: Path) -> dict:
    """Architectures and scores of a run, in their order."""
    with (folder / "scores.csv").open(newline="") as file:
        return {SPACE.parse(row["arch"]): float(row["score"]) for row in csv.DictReader(file)}


def assert_the_best_is_returned(selection, folder: Path, count: int, **settings) -> None:
    """So many different valid architectures are scored, and the best of them is chosen."""
    selected = select(selection, folder, **settings)
    found = scores(folder)
    assert len(found) == count
    assert all(SPACE.is_valid(one) and one[CELL].count(CONV) == score for one, score in found.items())
    assert found[selected.architecture] == max(found.values()) == selected.metrics["selection/score"]
    assert list(selected.curves["best_so_far"])[-1] == max(found.values())
    assert (folder / "best_so_far.png").exists()


def assert_resuming_is_exact(selection, folder: Path, estimator=Ranked, **settings) -> None:
    """Cut off in the middle, it measures only the rest and comes to the same, bit for bit."""
    asked: list = []

    class Remembering(estimator):
        def measurements(self, architecture):
            asked.append(architecture)
            return super().measurements(architecture)

    (folder / "whole").mkdir()
    whole = select(selection, folder / "whole", Remembering, **settings)
    file = folder / "whole" / "scores.csv"
    everything, count = scores(folder / "whole"), len(asked)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: count // 2 + 1]) + lines[count // 2 + 1][:9])
    asked.clear()
    assert select(selection, folder / "whole", Remembering, **settings) == whole
    assert scores(folder / "whole") == everything
    assert len(asked) == count - count // 2


def assert_pool_and_constraint_are_respected(selection, folder: Path, **settings) -> None:
    """Only what is in the pool and small enough is scored."""
    pool = [one for one in SPACE.sample(25, torch.Generator().manual_seed(0)) if SPACE.is_valid(one)]
    cost = PARAMETERS(task_of(module(), images()))
    most = sorted(cost.measurements(one)[0] for one in pool)[len(pool) // 2]
    fits = {one for one in pool if cost.measurements(one)[0] <= most}
    constraint = functools.partial(Constraint, cost=PARAMETERS, most=most)
    select(selection, folder, space=SPACE.restrict(pool=pool), constraint=constraint, **settings)
    assert set(scores(folder)) == fits


def assert_two_objectives_have_a_front(selection, folder: Path, **settings) -> None:
    """With a cost, what nothing beats in both is written and drawn, and the search finds cheap ones too."""
    selected = select(selection, folder, cost=PARAMETERS, **settings)
    with (folder / "pareto.csv").open(newline="") as file:
        front = list(csv.DictReader(file))
    assert SPACE.parse(front[-1]["arch"])[CELL].count(CONV) == selected.metrics["selection/score"]
    assert "pareto" in selected.pictures
    assert len(front) > 1
