"""The command as a user runs it."""

import csv
import json

import pytest

from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.evaluate import main as evaluate
from supernet.fit import main
from tests.commands import only_run, run

THIN = ("search_space.channels=4", "search_space.cells_per_stage=1")
TINY = ("data=synthetic", "data.num_images=40", "data.size=8", "data.num_classes=3", "batch_size=8", "device=cpu")
SHORT = ("benchmark=none", "architectures=5", "epochs=1", "folds=2", *THIN, *TINY)


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_fit_on_the_table_is_judged_and_explained_and_can_be_used(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, "architectures=60", "held_out=100", f"log_dir={tmp_path}", *THIN) == 0
    folder, space, table = only_run(tmp_path), NASBench201(), NASBench201Table()
    trained = {row["arch"]: float(row["accuracy"]) for row in rows(folder / "trained.csv")}
    assert len(trained) == 60
    assert all(table.query(space.parse(one), "cifar10").accuracy == value for one, value in trained.items())
    found = rows(folder / "predictions.csv")
    held_out = {row["arch"] for row in found if row["part"] == "held out"}
    assert len(held_out) == 100
    assert not held_out & set(trained)
    assert all(space.is_valid(space.parse(one)) for one in held_out)
    assert all(float(row["deviation"]) > 0 for row in found)
    report = json.loads((folder / "report.json").read_text())
    assert (report["judged_by"], report["architectures"], report["trained"]) == ("held out", 100, 60)
    assert report["kendall_tau"] > 0.5
    assert report["cross-validated"]["kendall_tau"] > 0.4
    importances = [float(row["importance"]) for row in rows(folder / "importances.csv")]
    assert importances == sorted(importances, reverse=True)
    assert sum(importances) == pytest.approx(1)
    assert (folder / "importances.png").stat().st_size > 10_000
    assert (folder / "predicted_against_true.png").stat().st_size > 10_000
    assert "op_count" in capsys.readouterr().out or "path" in (folder / "importances.csv").read_text()

    settings = ("estimator=predictor", f"estimator.trained={folder}", "architectures=40", f"log_dir={tmp_path}/scored")
    assert run(monkeypatch, evaluate, *settings, "workers=1", *THIN) == 0
    scored = json.loads((only_run(tmp_path / "scored") / "report.json").read_text())
    assert scored["kendall_tau"] > 0.5
    assert set(rows(only_run(tmp_path / "scored") / "scores.csv")[0]) >= {"accuracy", "deviation"}


def test_networks_are_trained_where_there_is_no_table_and_not_again(tmp_path, monkeypatch):
    assert run(monkeypatch, main, *SHORT, "model=ridge", f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    trained = rows(folder / "trained.csv")
    shares = {row["arch"]: float(row["accuracy"]) for row in rows(folder / "trainings.csv")}
    assert [row["arch"] for row in trained] == [row["arch"] for row in rows(folder / "architectures.csv")]
    assert all(float(row["accuracy"]) == 100 * shares[row["arch"]] for row in trained)
    report = (folder / "report.json").read_text()
    assert json.loads(report)["judged_by"] == "cross-validated"

    lines = (folder / "trainings.csv").read_text().splitlines(keepends=True)
    (folder / "trainings.csv").write_text("".join(lines[:4]))
    (folder / "trained.csv").unlink()
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert rows(folder / "trained.csv") == trained
    assert (folder / "trainings.csv").read_text().startswith("".join(lines[:4]))


def test_a_file_of_trained_architectures_is_kept_with_the_run(tmp_path, monkeypatch):
    space = NASBench201()
    some = list(space.enumerate())[100:4000:300]
    path = tmp_path / "mine.csv"
    path.write_text("arch,accuracy\n" + "".join(f"{space.format(one)},{sum(one['cell'])}\n" for one in some))
    settings = (f"trained={path}", "held_out=0", "features=proxies", "workers=1", "model=ridge", "folds=3", *THIN)
    small = ("features.estimators.naswot.batch_size=8", "data=synthetic", "data.num_images=200", "data.size=8")
    assert run(monkeypatch, main, *settings, *small, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    assert {row["arch"] for row in rows(folder / "features.csv")} == {space.format(one) for one in some}
    measured = (folder / "features.csv").read_text()
    path.unlink()
    assert run(monkeypatch, main, f"resume={folder}", "workers=1") == 0
    assert (folder / "features.csv").read_text() == measured


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("folds=1",), "folds=1 leaves nothing"),
        (("folds=0", "benchmark=none"), "nothing to judge"),
        (("held_out=-1",), "held_out=-1"),
        (("architectures=3",), "at least 4"),
        (("features=none",), "learns from features"),
        (("model.trees=0",), "trees is 0"),
        (("dataset=svhn",), "no record of 'svhn'"),
        (("trained=absent.csv",), "no such file"),
        (("filter=some",), "filter=some"),
        (("filter=unique",), "filter=unique is for evaluations; use filter=valid"),
    ],
)
def test_mistakes_are_said_in_one_line_before_any_work(settings, reason, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *settings, f"log_dir={tmp_path}") == 1
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.glob("fit/runs/*/trained.csv"))


def test_an_earlier_run_is_neither_taken_over_nor_lost(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *SHORT, "model=ridge", f"hydra.run.dir={tmp_path}/run") == 0
    before = (tmp_path / "run" / "trainings.csv").read_bytes()
    assert run(monkeypatch, main, *SHORT, "model=ridge", "seed=1", f"hydra.run.dir={tmp_path}/run") == 1
    assert "has an earlier run; go on with it by resume=" in capsys.readouterr().err
    assert (tmp_path / "run" / "trainings.csv").read_bytes() == before
