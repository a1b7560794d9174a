import csv
import functools
import math

import pytest
import torch

from search_spaces.nasbench201 import CELL
from supernet.errors import UserError
from supernet.estimators.proxies.linear_regions import LinearRegions
from supernet.estimators.proxies.ntk_condition import NTKCondition
from supernet.selection.base import task_of
from supernet.selection.te_nas import PruningSelection, relative_gain
from tests.supernet.searches import SPACE, TWO_CELLS, images, module
from tests.supernet.selection.planted import Convolutions, OfMixture, score_of_mixture, total, worth


@pytest.fixture
def without_networks(monkeypatch):
    monkeypatch.setattr("supernet.selection.te_nas.supernet_score", score_of_mixture)


def planted(function, seen=None):
    return functools.partial(OfMixture, function=function, seen=seen)


def select(folder, estimators, space=SPACE, seed=0, **settings):
    return PruningSelection(folder, estimators, **settings).select(module(space=space, seed=seed), images())


def test_the_gain_is_the_relative_change_to_three_decimals():
    assert relative_gain(-100.0, -80.0) == 0.2  # a condition number that falls: prune this
    assert relative_gain(3000.0, 2700.0) == -0.1  # regions that are lost: do not
    assert relative_gain(3000.0, 2999.0) == relative_gain(3000.0, 3000.0) == 0
    assert relative_gain(3.0, 2.0) == -0.333
    assert relative_gain(-math.inf, -5.0) == 1e6
    assert relative_gain(-5.0, -math.inf) == -1e6
    assert relative_gain(0.0, -1.0) == -1e6
    assert relative_gain(-math.inf, -math.inf) == 0


@pytest.mark.usefixtures("without_networks")
@pytest.mark.parametrize("number", [1, 3])
def test_a_planted_score_is_found(tmp_path, number):
    tables = worth(SPACE)
    selected = select(tmp_path, {"worth": planted(total(tables))}, number=number)
    assert selected.architecture[CELL] == tuple((tables[CELL][:, 1:].argmax(dim=1) + 1).tolist())
    best = float(tables[CELL][:, 1:].max(dim=1).values.sum())
    assert selected.metrics["selection/worth"] == pytest.approx(best)


@pytest.mark.usefixtures("without_networks")
def test_operations_and_then_inputs_are_pruned_on_darts(tmp_path):
    def convolutions(weights):
        return sum(float(table[:, 4].sum()) for table in weights.values())

    def early(weights):
        return sum(float((table.sum(dim=1) * torch.arange(14.0).flip(0)).sum()) for table in weights.values())

    selected = select(tmp_path, {"convolutions": planted(convolutions), "early": planted(early)}, TWO_CELLS, repeats=1)
    row = (4, 4, *(4, 4, -1), *(4, 4, -1, -1), *(4, 4, -1, -1, -1))
    assert [choices for _, choices in selected.architecture.choices] == [row, row]
    assert set(selected.metrics) == {"selection/convolutions", "selection/early"}


def test_before_and_after_have_the_same_weights_and_every_repetition_others(tmp_path):
    seen = []
    select(tmp_path, {"worth": planted(total(worth(SPACE)), seen)}, repeats=2, number=2)
    stems = [one.network.stem[0].weight for one in seen]
    different = []
    for stem in stems:
        if not any(torch.equal(stem, other) for other in different):
            different.append(stem)
    assert len(different) == 2 * 3  # two rounds and the result
    for one in seen:
        shares = one.weights[CELL]
        alive = shares != 0
        torch.testing.assert_close(shares, alive / alive.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_supernet_is_looked_at_once_for_each_repeat_whatever_the_estimator_would_do(tmp_path, repeats):
    seen = []

    class Often(OfMixture):
        def __init__(self, task):
            super().__init__(task, total(worth(SPACE)), seen)
            self.inits = 3

    select(tmp_path, {"worth": Often}, repeats=repeats, number=3)
    assert len(seen) == repeats * (24 + 1 + 1)


def test_a_resumed_search_goes_on_with_the_same_decisions(tmp_path, monkeypatch):
    calls = []

    def counting(proxy, weights):
        calls.append(weights)
        return score_of_mixture(proxy, weights)

    monkeypatch.setattr("supernet.selection.te_nas.supernet_score", counting)
    estimators = {"worth": planted(total(worth(SPACE)))}
    whole = select(tmp_path, estimators)
    count = len(calls)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # of 24, 18 and 12 operations each is taken away once, and nothing once; the result is looked at too; three times
    assert len(rows) == count == 3 * ((24 + 1) + (18 + 1) + (12 + 1) + 1)
    assert [row["without"] for row in rows[:2]] == ["nothing", "skip_connect"]
    lines = (tmp_path / "scores.csv").read_text().splitlines(keepends=True)
    (tmp_path / "scores.csv").write_text("".join(lines[:101]))
    calls.clear()
    assert select(tmp_path, estimators) == whole
    assert len(calls) == count - 100


def test_the_papers_scores_prune_the_same_every_time(tmp_path):
    estimators = {
        "ntk_condition": functools.partial(NTKCondition, batch_size=3, channels=2),
        "linear_regions": functools.partial(LinearRegions, batch_size=20, channels=1),
    }
    allowed = {CELL: SPACE.allowed[CELL].clone()}
    allowed[CELL][:4, 1:4] = False  # fewer, to be quick
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        found.append(select(tmp_path / name, estimators, SPACE.restrict(allowed), repeats=1, number=3))
    assert found[0] == found[1]
    assert SPACE.is_valid(found[0].architecture)
    assert found[0].metrics["selection/ntk_condition"] < -1
    assert 1 <= found[0].metrics["selection/linear_regions"] <= 20


def test_settings_without_sense_are_refused(tmp_path):
    for settings in ({"number": 0}, {"repeats": 0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            PruningSelection(tmp_path, {"worth": Convolutions}, **settings)
    with pytest.raises(ValueError, match="no estimators"):
        PruningSelection(tmp_path, {})
    with pytest.raises(ValueError, match="convolutions cannot look at a supernet"):
        PruningSelection(tmp_path, {"convolutions": Convolutions}).check(task_of(module(), images()))


@pytest.mark.usefixtures("without_networks")
def test_where_what_is_left_has_no_finite_score_nothing_is_found(tmp_path):
    with pytest.raises(UserError, match="no finite score; use other estimators"):
        select(tmp_path, {"worth": planted(lambda weights: -math.inf)})
