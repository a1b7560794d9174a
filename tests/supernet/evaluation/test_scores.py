import csv

import pytest

from supernet.errors import UserError
from supernet.estimators.cost import Cost
from supernet.evaluation.scores import Measurement, Scores, columns
from tests.supernet.estimators.tasks import task
from tests.supernet.evaluation.estimators import Ranked, Together

TENTH = Measurement((0.1,), 0.5)
BROKEN = Measurement((float("-inf"),), 0.25)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def written(path, names=()):
    scores = Scores(path, names)
    with scores:
        scores.append("a", TENTH)
        scores.append("b,c", BROKEN)
    return scores


def test_what_is_appended_is_read_back_exactly(tmp_path):
    scores = written(tmp_path / "scores.csv")
    assert scores.read() == {"a": TENTH, "b,c": BROKEN}
    assert rows(tmp_path / "scores.csv") == [
        ["arch", "score", "seconds"], ["a", "0.1", "0.500000"], ["b,c", "-inf", "0.250000"]
    ]  # fmt: skip


def test_a_line_is_in_the_file_before_the_next_is_measured(tmp_path):
    scores = Scores(tmp_path / "scores.csv")
    with scores:
        scores.append("a", TENTH)
        assert rows(tmp_path / "scores.csv")[-1] == ["a", "0.1", "0.500000"]


def test_lines_are_durable_when_they_are_a_second_old(tmp_path, monkeypatch):
    synced, now = [], [100.0]
    monkeypatch.setattr("os.fsync", synced.append)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    scores = Scores(tmp_path / "scores.csv")
    with scores:
        before = len(synced)
        for _ in range(5):
            scores.append("a", TENTH)
        assert len(synced) == before
        now[0] += 1.5
        scores.append("b", TENTH)
        assert len(synced) == before + 1
    assert len(synced) == before + 2


def test_further_lines_follow_those_that_are_there(tmp_path):
    scores = written(tmp_path / "scores.csv")
    with scores:
        scores.append("d", TENTH)
    assert list(scores.read()) == ["a", "b,c", "d"]


@pytest.mark.parametrize(
    "torn", ["|nor_conv", "d,0.25", "d,0.2", "d,0.3,0.1", "d,0.3,\n", "d,0.3\n", "\0\0\0\n", "d,x,1\n"]
)
def test_an_interrupted_last_line_is_forgotten(torn, tmp_path):
    scores = written(tmp_path / "scores.csv")
    with scores.path.open("a") as file:
        file.write(torn)
    assert scores.read() == {"a": TENTH, "b,c": BROKEN}
    with scores:
        scores.append("d", TENTH)
    assert list(scores.read()) == ["a", "b,c", "d"]


@pytest.mark.parametrize("content", ["", "arch,sco", "arch,score,seconds"])
def test_an_interrupted_first_line_too(content, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    assert Scores(path).read() == {}
    written(path)
    assert Scores(path).read() == {"a": TENTH, "b,c": BROKEN}


def test_damage_elsewhere_is_said(tmp_path):
    scores = written(tmp_path / "scores.csv")
    scores.path.write_text(scores.path.read_text().replace("0.500000", "half"))
    with pytest.raises(UserError, match=r"line 2 is damaged: 'a,0.1,half'"):
        scores.read()


def test_whole_lines_that_another_process_adds_are_read_once_each_as_they_come(tmp_path):
    path = tmp_path / "scores.csv"
    reader = Scores(path)
    assert reader.further() == {}
    path.write_text("arch,sco")
    assert reader.further() == {}
    path.write_text("arch,score,seconds\na,0.1,0.5\n")
    assert reader.further() == {"a": TENTH}
    assert reader.further() == {}
    with path.open("a") as file:
        file.write('"b,c",-in')
        file.flush()
        assert reader.further() == {}
        file.write("f,0.25\nd,0.1,0.5\ne")
        file.flush()
        assert reader.further() == {"b,c": BROKEN, "d": TENTH}
        file.write(",0.1\n")
        file.flush()
        with pytest.raises(UserError, match="is damaged"):
            reader.further()
    with pytest.raises(UserError, match="has the columns"):
        Scores(path, ("edges",)).further()


def test_what_was_measured_can_be_written_anew_without_scores(tmp_path):
    scores = Scores(tmp_path / "scores.csv", ("edges", "kinds"))
    measured = {"b": Measurement((1.0, 2.0), 0.5), "a": Measurement((3.0, 4.0), 0.5)}
    scores.keep(measured)
    assert rows(scores.path)[1] == ["b", "", "0.500000", "1.0", "2.0"]
    assert scores.read() == measured


def test_columns_of_another_estimator_are_refused(tmp_path):
    written(tmp_path / "scores.csv")
    with pytest.raises(UserError, match="has the columns arch,score,seconds, not arch,score,seconds,edges,kinds"):
        Scores(tmp_path / "scores.csv", ("edges", "kinds")).read()


def test_several_numbers_have_columns_and_the_score_comes_last(tmp_path):
    scores = Scores(tmp_path / "scores.csv", ("edges", "kinds"))
    measured = {"a": Measurement((1.0, 2.0), 0.5), "b": Measurement((3.0, float("-inf")), 0.5)}
    with scores:
        for text, one in measured.items():
            scores.append(text, one)
    assert rows(scores.path)[1] == ["a", "", "0.500000", "1.0", "2.0"]
    assert scores.read() == measured
    scores.finish(["b", "a"], [measured["b"], measured["a"]], [0.25, -0.5])
    assert rows(scores.path) == [
        ["arch", "score", "seconds", "edges", "kinds"],
        ["b", "0.25", "0.500000", "3.0", "-inf"],
        ["a", "-0.5", "0.500000", "1.0", "2.0"],
    ]
    assert scores.read() == measured


def test_only_a_score_that_is_more_than_one_number_needs_further_columns():
    assert columns(Cost(task(), "parameters")) == ()
    assert columns(Ranked(task())) == ("edges", "kinds")
    assert columns(Together(task())) == ()
