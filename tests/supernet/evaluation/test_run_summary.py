import csv
import io
import math

import pytest
from rich.console import Console

from supernet.evaluation.run_groups import grouped
from supernet.evaluation.run_summary import as_csv, as_markdown, cells, columns, complaints, duration, table
from supernet.evaluation.runs import outcomes
from tests.supernet.evaluation.runs import search_run, train_run


@pytest.fixture
def groups(tmp_path):
    """Two relaxations; of one, three seeds with 0.2, 0.4 and 0.9, of the other 0.6 and two without a result."""
    for seed, value in enumerate((0.2, 0.4, 0.9)):
        changed = (f"seed={seed}", "sweep=seeds", "relaxation=softmax", "epochs=2")
        search_run(tmp_path / str(seed), *changed, value=value, **{"benchmark/cifar10": 90.0 + seed})
    changed = ("relaxation=gumbel", "epochs=2")
    search_run(tmp_path / "3", "seed=0", *changed, value=0.6, **{"benchmark/cifar10": 80.0})
    search_run(tmp_path / "4", "seed=1", *changed, reason="out of memory")
    search_run(tmp_path / "5", "seed=2", *changed)
    return grouped(outcomes(tmp_path))


def text(found, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(found)
    return console.export_text()


def test_the_table_has_percent_the_runs_that_count_and_the_tables_accuracy(groups):
    assert columns(groups) == ["accuracy/discretized", "benchmark/cifar10"]
    heading, rows = cells(groups, columns(groups))
    assert heading == ["relaxation", "runs", "accuracy/discretized [%]", "table: cifar10 [%]", "time"]
    assert rows == [
        ["gumbel", "1 of 3", "60.00", "80.00", "10.0 s"],
        ["softmax", "3 of 3", "50.00 ± 36.06", "91.00 ± 1.00", "10.0 s"],
    ]


def test_runs_without_a_result_are_told_with_their_reason(groups):
    assert complaints(groups) == [
        "4 (relaxation=gumbel seed=1) failed: out of memory", "5 (relaxation=gumbel seed=2) has not ended",
    ]  # fmt: skip


def test_a_narrow_screen_has_less_and_says_so(groups):
    wide, narrow = text(table(groups, 100), 100), text(table(groups, 46), 46)
    assert "6 runs: 4 finished, 1 failed, 1 unfinished; 40.0 s in all" in wide
    assert "50.00 ± 36.06" in wide
    assert "91.00 ± 1.00" in wide
    assert "softmax" in narrow
    assert "36.06" in narrow
    assert "91.00" not in narrow
    assert "summary.md" in narrow


def test_the_csv_has_a_row_for_each_group_and_no_rounding(groups):
    first, second = csv.DictReader(io.StringIO(as_csv(groups)))
    assert (first["relaxation"], first["runs"], first["finished"]) == ("gumbel", "3", "1")
    assert (first["failed"], first["unfinished"], first["accuracy/discretized std"]) == ("1", "1", "")
    assert float(second["accuracy/discretized std"]) == pytest.approx(math.sqrt(0.13), rel=1e-15)
    assert second["objective"] == "accuracy/discretized"


def test_the_page_has_every_run(groups):
    page = as_markdown(groups)
    assert "| softmax | 3 of 3 | 50.00 ± 36.06 | 91.00 ± 1.00 | 10.0 s |" in page
    assert "| 2 | softmax | 2 | finished | 90 | 92 | 10.0 s |" in page
    assert "| 4 | gumbel | 1 | failed |  |  |  |" in page
    assert "* 4 (relaxation=gumbel seed=1) failed: out of memory" in page


def test_the_text_of_an_architecture_does_not_break_the_page(tmp_path):
    train_run(tmp_path / "0", "genotype='|none~0|'", accuracy=0.5)
    train_run(tmp_path / "1", "genotype=drnas", accuracy=0.6)
    assert "| '\\|none~0\\|' | 1 of 1 | 50.00 |" in as_markdown(grouped(outcomes(tmp_path)))


def test_runs_of_which_none_has_ended_have_a_table_too(tmp_path):
    search_run(tmp_path / "0", "seed=0")
    groups = grouped(outcomes(tmp_path))
    assert cells(groups, columns(groups)) == (["changed", "runs", "time"], [["all", "0 of 1", "-"]])
    assert "1 unfinished" in text(table(groups, 80), 80)
    assert "1 unfinished" in as_markdown(groups)


def test_long_numbers_are_short_in_the_table_and_whole_in_the_csv(tmp_path):
    for index, rate in enumerate(("0.0123456789", "0.5")):
        search_run(tmp_path / str(index), f"weight_optimizer.lr={rate}", value=0.5)
    groups = grouped(outcomes(tmp_path))
    assert sorted(row[0] for row in cells(groups, columns(groups))[1]) == ["0.01235", "0.5"]
    assert "0.0123456789" in as_csv(groups)


def test_many_different_settings_share_a_column(tmp_path):
    for index, name in enumerate(("a", "b", "c", "d", "e", "f")):
        search_run(tmp_path / str(index), f"{name}={index}", value=0.5)
    groups = grouped(outcomes(tmp_path))
    heading, rows = cells(groups, columns(groups))
    assert heading[0] == "changed"
    assert {row[0] for row in rows} == {"a=0", "b=1", "c=2", "d=3", "e=4", "f=5"}


def test_times_are_in_the_unit_that_fits():
    assert [duration(value) for value in (9.04, 600.0, 7200.0)] == ["9.0 s", "10.0 min", "2.0 h"]
