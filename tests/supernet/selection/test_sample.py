import csv
import functools

import pytest
import torch

from search_spaces.nasbench201 import CELL, NASBench201
from search_spaces.network import parameters
from supernet.errors import UserError
from supernet.estimators.base import Estimator
from supernet.estimators.constraint import Constraint
from supernet.estimators.cost import Cost
from supernet.selection.base import task_of
from supernet.selection.sample import Sample, SampleSelection, valid_sample
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection.planted import CONV, Convolutions, Scoreless


class Together(Estimator):
    def __init__(self, task) -> None:
        pass

    def score(self, architectures):
        return torch.tensor([float("nan"), *(float(one[CELL].count(CONV)) for one in architectures[1:])]).double()


def select(folder, space=SPACE, seed=0, estimator=Convolutions, **settings):
    search = module(space=space, seed=seed)
    return SampleSelection(folder, estimator, **({"n_archs": 40, "workers": 1} | settings)).select(search, images())


def test_the_best_of_the_sample_is_found_and_all_scores_are_written(tmp_path):
    selected = select(tmp_path)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = {SPACE.parse(row["arch"]): float(row["score"]) for row in csv.DictReader(file)}
    assert len(rows) == 40
    assert all(SPACE.is_valid(one) and one[CELL].count(CONV) == score for one, score in rows.items())
    assert rows[selected.architecture] == max(rows.values()) == selected.metrics["selection/score"]


def test_the_whole_space_is_scored_where_it_has_no_more(tmp_path, generator):
    pool = [one for one in SPACE.sample(9, generator) if SPACE.is_valid(one)]
    selected = select(
        tmp_path, SPACE.restrict(pool=[*pool, SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")])
    )
    assert selected.architecture in pool
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1 + len(set(pool))


def test_the_sample_is_a_function_of_the_seed(tmp_path):
    drawn = [valid_sample(NASBench201(), 5, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_nothing_is_scored_twice_after_an_interruption(tmp_path):
    asked = []

    class Remembering(Convolutions):
        def measurements(self, architecture):
            asked.append(architecture)
            return super().measurements(architecture)

    whole = select(tmp_path, estimator=Remembering)
    lines = (tmp_path / "scores.csv").read_text().splitlines(keepends=True)
    (tmp_path / "scores.csv").write_text("".join(lines[:31]) + lines[31][:10])
    asked.clear()
    assert select(tmp_path, estimator=Remembering) == whole
    assert len(asked) == 10


def test_an_estimator_that_needs_company_will_do_and_no_number_is_worst(tmp_path):
    task = task_of(module(), images())
    ranked = Sample(tmp_path, Together, 6, 1).ranked(task)
    counts = [one[CELL].count(CONV) for one, _ in ranked[:-1]]
    assert counts == sorted(counts, reverse=True)
    assert ranked[-1][1] != ranked[-1][1]


def test_settings_without_sense_are_refused(tmp_path):
    for settings in ({"n_archs": 0}, {"workers": -1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            SampleSelection(tmp_path, Convolutions, **settings)
    dead = SPACE.restrict(pool=[SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")])
    with pytest.raises(UserError, match="no architecture left"):
        valid_sample(dead, 3, 0)
    too_many = functools.partial(_needing, 1000)
    with pytest.raises(ValueError, match="batch_size is 1000"):
        SampleSelection(tmp_path, too_many).check(task_of(module(), images()))


def _needing(count, task):
    from supernet.estimators.proxies.grad_norm import GradNorm

    return GradNorm(task, batch_size=count)


def test_a_constraint_is_respected_and_with_a_cost_the_front_is_written(tmp_path):
    cost = functools.partial(Cost, unit="parameters")
    counts = {one: parameters(SPACE.network(one)) for one in valid_sample(SPACE, 8, 0)}
    most = sorted(counts.values())[3]
    space = SPACE.restrict(pool=list(counts))
    selected = select(tmp_path, space, cost=cost, constraint=functools.partial(Constraint, cost=cost, most=most))
    with (tmp_path / "scores.csv").open(newline="") as file:
        scored = {SPACE.parse(row["arch"]) for row in csv.DictReader(file)}
    assert scored == {one for one, count in counts.items() if count <= most}
    assert (tmp_path / "pareto.csv").exists()
    assert set(selected.pictures) == {"pareto"}
    with pytest.raises(UserError, match="no architecture was found"):
        SampleSelection(tmp_path, Convolutions, constraint=functools.partial(Constraint, cost=cost, most=1)).check(
            task_of(module(), images())
        )


def test_where_no_score_is_finite_nothing_is_found(tmp_path):
    with pytest.raises(UserError, match="not one of 40 architectures has a finite score; use another estimator"):
        select(tmp_path, estimator=Scoreless)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 41
