"""All architectures of a run are scored; an interruption costs nothing that was measured."""

import csv

import pytest
import torch

from supernet.errors import UserError
from supernet.evaluation.scoring import one_by_one, together
from supernet.evaluation.workers import MeasuringError
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.evaluation.estimators import Failing, Ranked, Together

ARCHITECTURES = SMALL.sample(30, torch.Generator().manual_seed(0))


class Counting(Ranked):
    """Notes what it measures, and can be stopped."""

    def __init__(self, some, stop=None):
        super().__init__(some)
        self.measured = []
        self.stop = stop

    def measurements(self, architecture):
        if len(self.measured) == self.stop:
            raise KeyboardInterrupt
        self.measured.append(architecture)
        return super().measurements(architecture)


def score(estimator, folder, architectures=ARCHITECTURES):
    return one_by_one(type(estimator), estimator, estimator.task, architectures, folder, workers=1)


def rows(folder):
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_scores_are_those_of_the_estimator_in_the_order_of_the_architectures(tmp_path):
    scores, seconds = score(Ranked(task()), tmp_path)
    assert scores == Ranked(task()).score(ARCHITECTURES).tolist()
    assert [row["arch"] for row in rows(tmp_path)] == [SMALL.format(one) for one in ARCHITECTURES]
    assert [float(row["score"]) for row in rows(tmp_path)] == scores
    assert len(seconds) == 30


def test_what_lies_in_the_folder_of_a_new_run_does_not_count(tmp_path):
    (tmp_path / "scores.csv").write_text(
        f"arch,score,seconds,edges,kinds\n{SMALL.format(ARCHITECTURES[0])},,9.0,99.0,99.0\n"
    )
    estimator = Ranked(task())
    scores, _ = one_by_one(Ranked, estimator, task(), ARCHITECTURES, tmp_path, workers=1, resumed=False)
    assert scores == estimator.score(ARCHITECTURES).tolist()
    assert [float(row["score"]) for row in rows(tmp_path)] == scores


def test_an_interruption_keeps_what_was_measured_and_nothing_is_measured_twice(tmp_path, caplog):
    first = Counting(task(), stop=12)
    with pytest.raises(SystemExit) as stopped:
        score(first, tmp_path)
    assert stopped.value.code == 130
    assert f"12 of 30 are scored; go on with resume={tmp_path}" in caplog.text
    assert [row["score"] for row in rows(tmp_path)] == [""] * 12
    second = Counting(task())
    scores, _ = score(second, tmp_path)
    assert first.measured + second.measured == ARCHITECTURES
    assert scores == Ranked(task()).score(ARCHITECTURES).tolist()
    third = Counting(task(), stop=0)
    assert score(third, tmp_path)[0] == scores


def test_a_failure_keeps_what_was_measured(tmp_path, caplog):
    with pytest.raises(MeasuringError):
        score(Failing(task()), tmp_path)
    done = next(index for index, one in enumerate(ARCHITECTURES) if one.choices[0][1][-1] == 0)
    assert len(rows(tmp_path)) == done
    assert f"when the reason is mended, go on with resume={tmp_path}" in caplog.text


def test_scores_of_architectures_that_were_not_asked_for_are_refused(tmp_path):
    score(Ranked(task()), tmp_path)
    with pytest.raises(UserError, match="which this run was not asked for"):
        score(Ranked(task()), tmp_path, ARCHITECTURES[1:])


def test_an_estimator_that_looks_at_all_at_once_is_asked_once(tmp_path):
    scores, seconds = together(Together(task()), task(), ARCHITECTURES, tmp_path)
    assert scores == Together(task()).score(ARCHITECTURES).tolist()
    assert [float(row["score"]) for row in rows(tmp_path)] == scores
    assert len(set(seconds)) == 1
