import json

import numpy as np
import pytest

from supernet.evaluation.stability import stability, write_stability

TRUE = np.arange(20.0)


def test_each_checkpoint_is_compared_with_the_truth_and_with_the_one_before():
    estimates = np.stack([TRUE, -TRUE, -TRUE + 5], axis=1)
    first, second, third = stability(["10", "20", "30"], estimates, TRUE)
    assert [row["kendall_tau"] for row in (first, second, third)] == pytest.approx([1, -1, -1])
    assert first["relative_kendall_tau"] is first["relative_precision_at_top"] is None
    assert second["relative_kendall_tau"] == pytest.approx(-1)
    assert second["relative_precision_at_top"] == {"0.5%": 0, "5%": 0}
    assert third["relative_kendall_tau"] == pytest.approx(1)
    assert third["relative_precision_at_top"] == {"0.5%": 1, "5%": 1}


def test_one_exchange_of_neighbours_costs_two_of_all_pairs():
    exchanged = TRUE.copy()
    exchanged[[3, 4]] = exchanged[[4, 3]]
    (_, row) = stability(["1", "2"], np.stack([TRUE, exchanged], axis=1))
    assert row["kendall_tau"] is None
    assert row["relative_kendall_tau"] == pytest.approx(1 - 2 / 190)


def test_estimates_that_are_all_equal_have_no_correlation():
    rows = stability(["1", "2"], np.ones((20, 2)), TRUE)
    assert rows[1]["kendall_tau"] is rows[1]["relative_kendall_tau"] is None


def test_file_picture_and_table_are_written(tmp_path, capsys):
    rows = stability(["10", "20"], np.stack([TRUE, TRUE], axis=1), TRUE)
    write_stability(tmp_path, rows, "one_shot")
    assert json.loads((tmp_path / "stability.json").read_text()) == rows
    assert (tmp_path / "stability.png").stat().st_size > 5_000
    assert "1.000" in capsys.readouterr().out
