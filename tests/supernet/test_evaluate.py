import csv
import json

import pytest

from search_spaces.nasbench201 import NASBench201
from supernet.evaluate import main
from tests.commands import only_run, run


def test_scores_and_a_report_are_written(tmp_path, monkeypatch):
    arguments = ("architectures=40", "estimator=parameters", "search_space.cells_per_stage=1", f"log_dir={tmp_path}")
    assert run(monkeypatch, main, *arguments) == 0
    folder = only_run(tmp_path)
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert all(NASBench201().parse(row["arch"]) and float(row["score"]) > 0 for row in rows)
    report = json.loads((folder / "report.json").read_text())
    assert report["architectures"] == 40
    assert 0.2 < report["kendall_tau"] < 0.9  # size ranks NAS-Bench-201 fairly well


def test_the_written_scores_can_be_read_back_as_the_architectures(tmp_path, monkeypatch):
    small = ("estimator=parameters", "search_space.cells_per_stage=1", "benchmark=none")
    assert run(monkeypatch, main, "architectures=5", *small, f"log_dir={tmp_path}/a") == 0
    scores = only_run(tmp_path / "a") / "scores.csv"
    assert run(monkeypatch, main, f"architectures={scores}", *small, f"log_dir={tmp_path}/b") == 0
    one, other = (
        [row[:2] for row in csv.reader(path.open())] for path in (scores, only_run(tmp_path / "b") / "scores.csv")
    )
    assert one == other


@pytest.mark.parametrize(("content", "message"), [
    ("a,b\n1,2\n", "has no column `arch`"), ("arch\n|none~0|\n", "line 2: "), ("arch\n", "names 0 architectures"),
])  # fmt: skip
def test_a_csv_that_does_not_fit_is_refused(content, message, tmp_path, monkeypatch, capsys):
    path = tmp_path / "archs.csv"
    path.write_text(content)
    assert run(monkeypatch, main, f"architectures={path}", f"log_dir={tmp_path}") == 1
    assert message in capsys.readouterr().err


def test_an_unknown_data_set_lists_what_there_is(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, "dataset=mnist", "architectures=3", f"log_dir={tmp_path}") == 1
    assert "there are cifar10 after 200 epochs" in capsys.readouterr().err
