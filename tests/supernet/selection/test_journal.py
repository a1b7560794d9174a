import math

import pytest

from supernet.errors import UserError
from supernet.selection.journal import Journal, recorded_seconds


def asked(calls, value):
    def measure():
        calls.append(value)
        return value

    return measure


def test_what_was_measured_is_read_and_not_measured_again(tmp_path):
    path, calls = tmp_path / "scores.csv", []
    first = Journal(path, ("cell", "edge"), ("score", "other"))
    assert first(("a", 1), asked(calls, (0.1, -math.inf))) == (0.1, -math.inf)
    assert first(("a", 1), asked(calls, (9, 9))) == (0.1, -math.inf)
    second = Journal(path, ("cell", "edge"), ("score", "other"))
    assert ("a", 1) in second
    assert ("b", 1) not in second
    assert second(("a", 1), asked(calls, (9, 9))) == (0.1, -math.inf)
    assert second(("b", 1), asked(calls, (1 / 3, 2))) == (1 / 3, 2.0)
    assert calls == [(0.1, -math.inf), (1 / 3, 2)]
    header, *lines = path.read_text().splitlines()
    assert header == "cell,edge,score,other,seconds"
    assert [line.split(",")[:4] for line in lines] == [["a", "1", "0.1", "-inf"], ["b", "1", repr(1 / 3), "2.0"]]


@pytest.mark.parametrize("torn", ["b,2,0.25,0.0000", "b,2,0.", "b", "b,2,0.25,x\n"])
def test_an_interrupted_last_line_is_measured_again(tmp_path, torn):
    path = tmp_path / "scores.csv"
    path.write_text(f"cell,edge,score,seconds\na,1,0.5,2.0\n{torn}")
    journal = Journal(path, ("cell", "edge"), ("score",))
    assert path.read_text() == "cell,edge,score,seconds\na,1,0.5,2.0\n"
    calls = []
    assert journal(("b", 2), asked(calls, (0.25,))) == (0.25,)
    assert calls


def test_another_file_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("arch,score,seconds\n")
    with pytest.raises(UserError, match="has the columns arch,score,seconds, not cell,score,seconds"):
        Journal(path, ("cell",), ("score",))
    path.write_text("cell,score,seconds\na,x,1\nb,1,1\n")
    with pytest.raises(UserError, match="line 2 is damaged"):
        Journal(path, ("cell",), ("score",))


def test_the_seconds_of_a_file_are_summed(tmp_path):
    path = tmp_path / "scores.csv"
    assert recorded_seconds(path) == 0
    path.write_text("cell,score\na,1\n")
    assert recorded_seconds(path) == 0
    path.write_text("cell,score,seconds\na,1,2.5\nb,1,0.25\nc,1,9")
    assert recorded_seconds(path) == 2.75
