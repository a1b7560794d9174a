import csv
import functools

import pytest
import torch

from search_spaces.nasbench201 import CELL
from supernet.errors import UserError
from supernet.estimators.constraint import Constraint
from supernet.estimators.cost import Cost
from supernet.selection.base import task_of
from supernet.selection.ledger import Ledger, Objectives, accepting
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection.planted import CONV, Convolutions, Ranked, Scoreless
from tests.supernet.selection.test_sample import Together

TASK = task_of(module(), images())
PARAMETERS = functools.partial(Cost, unit="parameters")
FEW = [one for one in SPACE.sample(12, torch.Generator().manual_seed(0)) if SPACE.is_valid(one)][:8]


def ledger(folder, estimator=Convolutions, **objectives) -> Ledger:
    return Ledger(Objectives(folder, estimator, workers=1, **objectives), TASK)


def scored(made, *calls):
    with made.searching(len(FEW), "a search"):
        return [made.score(call) for call in calls]


def lines(folder):
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_measured_is_written_at_once_and_not_measured_again(tmp_path):
    first = ledger(tmp_path)
    with first.searching(8, "a search"):
        first.score(FEW[:3])
        assert len(lines(tmp_path)) == 3
    second = ledger(tmp_path)
    (values,) = scored(second, FEW[:5])
    assert values == [one[CELL].count(CONV) for one in FEW[:5]]
    assert second.estimator.asked == FEW[3:5]


def test_in_the_end_the_file_has_all_scores_in_the_order_of_the_search(tmp_path):
    made = ledger(tmp_path, Ranked)
    scored(made, FEW[4:], FEW[:4])
    selected = made.finish(FEW)
    assert [SPACE.parse(row["arch"]) for row in lines(tmp_path)] == FEW
    values = [float(row["score"]) for row in lines(tmp_path)]
    assert sorted(values) == [i / 8 for i in range(8)]
    assert selected.architecture == FEW[values.index(max(values))]
    assert selected.metrics == {"selection/score": max(values)}
    assert list(selected.curves["best_so_far"])[-1] == max(values)
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "best_so_far.png"}


def test_scores_are_taken_anew_only_where_they_depend_on_the_company(tmp_path):
    assert ledger(tmp_path).rescore is None
    assert ledger(tmp_path).refit is None
    made = ledger(tmp_path / "", Ranked)
    assert made.rescore is not None
    scored(made, FEW)
    assert made.refit(FEW[:2]) == made.scores(FEW[:2])


def test_with_a_cost_fitness_is_the_place_by_both_and_the_front_is_written(tmp_path):
    made = ledger(tmp_path, cost=PARAMETERS)
    scored(made, FEW)
    assert made.rescore is None
    points = [(one[CELL].count(CONV), -made.cheap.of(one)) for one in FEW]
    fitness = made.refit(FEW)
    for i, one in enumerate(points):
        for j, other in enumerate(points):
            if one != other and one[0] >= other[0] and one[1] >= other[1]:
                assert fitness[i] > fitness[j]
    selected = made.finish(FEW)
    assert selected.metrics["selection/score"] == max(score for score, _ in points)  # not the fittest by both
    assert set(selected.pictures) == {"best_so_far", "pareto"}
    assert (tmp_path / "pareto.csv").exists()


class Failing(Convolutions):
    def measurements(self, architecture):
        if architecture == FEW[2]:
            raise RuntimeError("out of memory")
        return super().measurements(architecture)


class Interrupted(Convolutions):
    def measurements(self, architecture):
        raise KeyboardInterrupt


def test_a_failure_and_an_interruption_say_how_to_go_on(tmp_path):
    with pytest.raises(UserError, match=r"out of memory.*go on with resume="):
        scored(ledger(tmp_path, Failing), FEW)
    assert len(lines(tmp_path)) == 2
    with pytest.raises(SystemExit):
        scored(ledger(tmp_path, Interrupted), FEW)


def test_objectives_that_do_not_fit_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="only together"):
        Objectives(tmp_path, Together).check(TASK)
    with pytest.raises(ValueError, match="no cost"):
        Objectives(tmp_path, Convolutions, cost=Ranked).check(TASK)
    with pytest.raises(UserError, match="no architecture"):
        Objectives(tmp_path, Convolutions, constraint=functools.partial(Constraint, cost=PARAMETERS, most=1)).check(
            TASK
        )
    with pytest.raises(ValueError, match="workers"):
        Objectives(tmp_path, Convolutions, workers=-1)
    assert accepting({}, TASK) is None


def test_where_no_score_is_finite_nothing_is_found(tmp_path):
    made = ledger(tmp_path, Scoreless)
    scored(made, FEW)
    with pytest.raises(UserError, match=f"not one of {len(FEW)} architectures has a finite score"):
        made.finish(FEW)


def test_without_a_terminal_a_line_says_how_far_the_search_is(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("supernet.evaluation.progress.EVERY", -1.0)
    scored(ledger(tmp_path), FEW[:2])
    caplog.clear()
    with caplog.at_level("INFO", "supernet"):
        scored(ledger(tmp_path), FEW[:3])
    said = [record.message for record in caplog.records]
    assert len(said) == 1  # for the third alone: the others were scored before
    assert said[0].startswith(f"a search: 3 of {len(FEW)}, ")
