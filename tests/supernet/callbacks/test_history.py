import csv

import pytest

from supernet.callbacks.history import FILE, History


def test_rows_survive_a_checkpoint_and_columns_are_those_of_all_rows(tmp_path):
    history = History(tmp_path)
    history.rows = [
        {"epoch": 1, "seconds": 1.5, "loss/a": 0.5},
        {"epoch": 2, "seconds": 2.0, "loss/a": 0.25, "x/b": 1.0},
    ]
    restored = History(tmp_path)
    restored.load_state_dict(history.state_dict())
    assert restored.rows == history.rows
    assert restored.seconds == pytest.approx(3.5)
    assert restored.metrics == {"loss/a": 0.25, "x/b": 1.0}
    (tmp_path / FILE).write_text(restored.text())
    with (tmp_path / FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["loss/a"] for row in rows] == ["0.5", "0.25"]
    assert rows[0]["x/b"] == ""


def test_there_is_nothing_before_the_first_epoch(tmp_path):
    assert History(tmp_path).metrics == {}
    assert History(tmp_path).seconds == 0
