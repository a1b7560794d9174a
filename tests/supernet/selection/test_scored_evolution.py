import csv

import pytest

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import CELL
from supernet.selection.scored_evolution import ScoredEvolutionSelection
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection import searching
from tests.supernet.selection.planted import CONV, Convolutions, Ranked
from tests.supernet.selection.test_sample import Together

SETTINGS = {"population": 12, "generations": 10, "survivors": 4, "workers": 1}
SMALL = {"population": 8, "generations": 5, "survivors": 4}


def select(folder, estimator=Convolutions, space=SPACE, **settings):
    selection = ScoredEvolutionSelection(folder, estimator, **(SETTINGS | settings))
    return selection.select(module(space=space), images())


@pytest.mark.parametrize("estimator", [Convolutions, Ranked])
def test_a_planted_score_is_found_also_where_it_is_a_rank_among_all_so_far(tmp_path, estimator):
    selected = select(tmp_path, estimator)
    assert selected.architecture[CELL].count(CONV) >= 5
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 100 < len(rows) <= 120
    best = max(rows, key=lambda row: float(row["score"]))
    assert SPACE.parse(best["arch"]) == selected.architecture
    assert float(best["score"]) == selected.metrics["selection/score"]


def test_ranks_are_those_among_the_whole_history(tmp_path):
    select(tmp_path, Ranked, generations=3)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(float(row["score"]) for row in rows) == pytest.approx([i / len(rows) for i in range(len(rows))])
    assert all(float(row["convolutions"]) == SPACE.parse(row["arch"])[CELL].count(CONV) for row in rows)


def test_nothing_is_measured_twice_not_even_after_an_interruption(tmp_path):
    asked = []

    class Remembering(Ranked):
        def measurements(self, architecture):
            asked.append(architecture)
            return super().measurements(architecture)

    whole = select(tmp_path, Remembering, generations=4)
    assert len(set(asked)) == len(asked) > 40
    lines = (tmp_path / "scores.csv").read_text().splitlines(keepends=True)
    (tmp_path / "scores.csv").write_text("".join(lines[:21]))
    count = len(asked)
    asked.clear()
    assert select(tmp_path, Remembering, generations=4) == whole
    assert len(asked) == count - 20


def test_a_pool_is_respected(tmp_path, generator):
    pool = [one for one in SPACE.sample(9, generator) if SPACE.is_valid(one)]
    best = max(one[CELL].count(CONV) for one in pool)
    found = select(tmp_path, space=SPACE.restrict(pool=pool)).architecture
    assert isinstance(found, Architecture)
    assert found in pool
    assert found[CELL].count(CONV) == best


def test_settings_without_sense_are_refused(tmp_path):
    for settings in ({"population": 0}, {"workers": -1}, {"mutation": 2.0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            ScoredEvolutionSelection(tmp_path, Convolutions, **settings)
    with pytest.raises(ValueError, match="only together"):
        ScoredEvolutionSelection(tmp_path, Together).check(None)


def test_a_pool_and_a_constraint_are_respected(tmp_path):
    searching.assert_pool_and_constraint_are_respected(ScoredEvolutionSelection, tmp_path, **SMALL)


def test_two_objectives_have_a_front(tmp_path):
    searching.assert_two_objectives_have_a_front(ScoredEvolutionSelection, tmp_path, **SMALL)
