import csv
import functools
import math

import pytest
import torch

from search_spaces.nasbench201 import CELL
from search_spaces.network import parameters
from supernet.estimators.cost import Cost
from supernet.selection.base import task_of
from supernet.selection.front import Cheap
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection.planted import CONV, Ranked

TASK = task_of(module(), images())
CHEAP = Cheap(functools.partial(Cost, unit="parameters"), TASK)


def valid(count):
    drawn = SPACE.sample(3 * count, torch.Generator().manual_seed(0))
    return list(dict.fromkeys(one for one in drawn if SPACE.is_valid(one)))[:count]


def test_the_file_has_what_nothing_beats_in_both_from_the_cheapest_to_the_best(tmp_path):
    few = valid(25)
    scores = [float(one[CELL].count(4) + one[CELL].count(CONV)) for one in few]
    scores[3] = -math.inf
    costs = [parameters(SPACE.network(one)) for one in few]
    CHEAP.write(tmp_path, SPACE, few, scores)
    with (tmp_path / "pareto.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(SPACE.parse(row["arch"]), float(row["score"]), float(row["parameters"])) for row in rows]
    expected = {
        one
        for one, score, cost in zip(few, scores, costs, strict=True)
        if score > -math.inf
        and not any(
            other >= score and less <= cost and (other > score or less < cost)
            for other, less in zip(scores, costs, strict=True)
        )
    }
    assert {one for one, _, _ in found} == expected
    assert [cost for _, _, cost in found] == sorted(cost for _, _, cost in found)
    assert [score for _, score, _ in found] == sorted(score for _, score, _ in found)
    assert found[-1][1] == max(scores)
    assert (tmp_path / "pareto.png").stat().st_size > 1000


def test_cheaper_is_fitter_and_better_is_fitter():
    few = sorted(valid(20), key=CHEAP.of)
    cheap, dear = few[0], few[-1]
    alone = CHEAP.fitness([cheap, dear], [1.0, 1.0])
    assert alone[0] > alone[1]
    alone = CHEAP.fitness([cheap, cheap], [1.0, 2.0])
    assert alone[0] < alone[1]


def test_a_cost_is_one_number():
    with pytest.raises(ValueError, match="no cost"):
        Cheap(Ranked, TASK)
