import csv
import json

import numpy as np
import yaml

from supernet.comparison import compare, flattened, reports
from supernet.evaluation.report import criteria


def sweep(folder, runs):
    """A folder as Hydra and the evaluations leave it; a run without scores has no report."""
    accuracies = np.arange(50.0, 90.0)
    for index, (overrides, scores) in enumerate(runs):
        run = folder / str(index)
        (run / ".hydra").mkdir(parents=True)
        (run / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
        if scores is not None:
            report = {"estimator": "x", "seconds_per_architecture": 0.25, **criteria(scores, accuracies)}
            report["ranking_difference"] = {"by_multiply_adds": []}
            (run / "report.json").write_text(json.dumps(report))
    (folder / "multirun.yaml").touch()
    return folder


GOOD, BAD = np.arange(40.0), -np.arange(40.0)


def test_the_best_estimator_stands_first_in_table_files_and_picture(tmp_path, capsys):
    compare(sweep(tmp_path, [(["estimator=bad", "seed=3"], BAD), (["estimator=good", "seed=3"], GOOD)]))
    rows = json.loads((tmp_path / "comparison.json").read_text())
    assert [(row["name"], row["folder"], round(row["kendall_tau"])) for row in rows] == [
        ("good", "1", 1),
        ("bad", "0", -1),
    ]
    with (tmp_path / "comparison.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == ["good", "bad"]
    assert float(table[0]["precision_at_top_5%"]) == 1
    assert not any("ranking_difference" in name for name in table[0])
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert out.index("good") < out.index("bad")
    assert "250" in out  # milliseconds


def test_runs_without_a_report_are_named_with_the_reason(tmp_path, capsys):
    folder = sweep(tmp_path, [(["estimator=broken"], None), (["estimator=good"], GOOD)])
    (folder / "0" / "failure.json").write_text('{"reason": "out of memory"}')
    compare(folder)
    out = capsys.readouterr().out
    assert "no report of broken" in out
    assert ": out of memory" in out
    assert len(json.loads((tmp_path / "comparison.json").read_text())) == 1


def test_without_any_report_there_is_no_table(tmp_path, capsys):
    compare(sweep(tmp_path, [(["estimator=one"], None), (["estimator=two"], None)]))
    assert "no report of two" in capsys.readouterr().out
    assert not list(tmp_path.glob("comparison*"))


def test_scores_without_a_table_are_named(tmp_path, capsys):
    folder = sweep(tmp_path, [(["estimator=one"], None)])
    (folder / "0" / "scores.csv").write_text("arch,score\n")
    compare(folder)
    assert "there is no table to compare with; the scores are in" in capsys.readouterr().out


def test_an_undefined_correlation_stands_last(tmp_path, capsys):
    compare(sweep(tmp_path, [(["estimator=flat"], np.ones(40)), (["estimator=bad"], BAD)]))
    assert [row["name"] for row in reports(tmp_path)[0]] == ["bad", "flat"]
    assert "-" in capsys.readouterr().out


def test_the_tenth_run_comes_after_the_second(tmp_path):
    sweep(tmp_path, [([f"seed={seed}"], GOOD) for seed in range(11)])
    assert [row["folder"] for row in reports(tmp_path)[0]] == [str(index) for index in range(11)]


def test_criteria_with_several_shares_have_a_column_each():
    assert flattened({"a": 1, "p": {"1%": 2, "5%": 3}, "ranking_difference": {"x": 4}}) == {
        "a": 1,
        "p_1%": 2,
        "p_5%": 3,
    }
