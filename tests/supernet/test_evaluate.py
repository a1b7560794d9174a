"""The command as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from search_spaces.nasbench201 import NASBench201
from supernet import evaluate
from supernet.estimators.cost import Cost
from supernet.estimators.predictors.trained import write_trained
from supernet.evaluate import chosen_devices, main
from supernet.locks import held
from tests.commands import only_run, run

ROOT = Path(__file__).parents[2]
THIN = ("search_space.channels=4", "search_space.cells_per_stage=1")
SLOWER = ("estimator=naswot", "estimator.batch_size=16", *THIN)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def scores(folder: Path) -> list[tuple[str, str]]:
    return [(row["arch"], row["score"]) for row in rows(folder)]


def start(*arguments: str) -> subprocess.Popen:
    """The command in a session of its own, so that signals can be sent to all of its processes.

    A shell starts what runs in its background with SIGINT ignored, and tests hand that on unless they handle it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "supernet.evaluate", *arguments], cwd=ROOT, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for(condition, process: subprocess.Popen | None = None) -> None:
    limit = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.01)


def group_is_gone(group: int) -> bool:
    """Whether no process of the group runs any more; those that nobody has asked about are as good as gone."""
    states = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True, check=False).stdout
    return not any(line.strip() and not line.startswith("Z") for line in states.splitlines())


def test_scores_report_and_pictures_are_written(tmp_path, monkeypatch, capsys):
    arguments = ("architectures=40", "estimator=parameters", *THIN, f"log_dir={tmp_path}")
    assert run(monkeypatch, main, *arguments) == 0
    folder = only_run(tmp_path)
    found = rows(folder)
    assert len({row["arch"] for row in found}) == 40
    assert all(NASBench201().parse(row["arch"]) and float(row["score"]) > 0 for row in found)
    report = json.loads((folder / "report.json").read_text())
    assert (report["architectures"], report["estimator"], report["table_epochs"]) == (40, "parameters", 200)
    assert 0.2 < report["kendall_tau"] < 0.9  # size ranks NAS-Bench-201 fairly well
    assert (folder / "score_against_accuracy.png").stat().st_size > 10_000
    assert (folder / "ranking_difference.png").stat().st_size > 10_000
    assert "Kendall's tau" in capsys.readouterr().out


def test_the_filter_and_another_record_of_the_table(tmp_path, monkeypatch):
    few = ("architectures=60", "estimator=parameters", "filter=no_dangling", *THIN)
    record = ("dataset=cifar10-valid", "table_epochs=12")
    assert run(monkeypatch, main, *few, *record, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    assert all(NASBench201().has_no_dangling_operation(NASBench201().parse(row["arch"])) for row in rows(folder))
    report = json.loads((folder / "report.json").read_text())
    assert (report["dataset"], report["table_epochs"], report["filter"]) == ("cifar10-valid", 12, "no_dangling")


def test_one_of_each_class_is_compared_with_the_mean_of_its_class(tmp_path, monkeypatch):
    few = ("architectures=all", "estimator=table", "estimator.dataset=cifar10", "filter=unique", "workers=1")
    assert run(monkeypatch, main, *few, f"log_dir={tmp_path}") == 0
    report = json.loads((only_run(tmp_path) / "report.json").read_text())
    assert (report["architectures"], report["filter"]) == (6_466, "unique")
    assert 0.9 < report["kendall_tau"] < 0.999  # the record of one against the mean of its class


def test_without_a_table_there_are_scores_only(tmp_path, monkeypatch):
    few = ("search_space=darts", "search_space.channels=4", "search_space.layers=3", "architectures=3")
    assert run(monkeypatch, main, *few, "estimator=parameters", f"log_dir={tmp_path}") == 0
    assert len(rows(only_run(tmp_path))) == 3
    assert not (only_run(tmp_path) / "report.json").exists()


def test_the_written_scores_can_be_read_back_as_the_architectures(tmp_path, monkeypatch):
    small = ("estimator=parameters", *THIN, "benchmark=none")
    assert run(monkeypatch, main, "architectures=5", *small, f"log_dir={tmp_path}/a") == 0
    path = only_run(tmp_path / "a") / "scores.csv"
    assert run(monkeypatch, main, f"architectures={path}", *small, f"log_dir={tmp_path}/b") == 0
    assert scores(only_run(tmp_path / "a")) == scores(only_run(tmp_path / "b"))


@pytest.mark.slow
def test_an_aggregate_has_a_column_for_each_part_and_two_workers_change_nothing(tmp_path, monkeypatch):
    parts = [f"estimator.estimators.{name}.batch_size=4" for name in ("expressivity", "progressivity", "trainability")]
    few = ("architectures=4", "estimator=az_nas", *parts, *THIN)
    for workers in (1, 2):
        assert run(monkeypatch, main, *few, f"workers={workers}", f"log_dir={tmp_path}/{workers}") == 0
    one, two = (rows(only_run(tmp_path / str(workers))) for workers in (1, 2))
    assert list(one[0]) == [
        "arch",
        "score",
        "seconds",
        "expressivity",
        "progressivity",
        "trainability",
        "multiply_adds",
    ]
    assert [{**row, "seconds": ""} for row in one] == [{**row, "seconds": ""} for row in two]


def test_a_killed_evaluation_goes_on_where_it_was_and_ends_like_one_that_was_not(tmp_path, monkeypatch):
    folder, whole = tmp_path / "run", tmp_path / "whole"
    many = (*SLOWER, "architectures=240")
    killed = start(*many, "workers=2", f"hydra.run.dir={folder}")
    wait_for(lambda: (folder / "scores.csv").exists() and len(rows(folder)) >= 40, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_for(lambda: group_is_gone(killed.pid))  # no worker goes on for nobody
    with (folder / "scores.csv").open("a") as file:
        file.write("|nor_conv_3x3~0|+|none~0|no")  # a line that was being written
    before = {row["arch"]: row for row in rows(folder)[:-1]}
    assert 40 <= len(before) < 240

    assert run(monkeypatch, main, f"resume={folder}", "workers=1") == 0
    after = {row["arch"]: row for row in rows(folder)}
    assert len(after) == 240
    assert all(after[arch] == row for arch, row in before.items())  # with their seconds: not measured again

    assert run(monkeypatch, main, *many, "workers=1", f"hydra.run.dir={whole}") == 0
    assert scores(folder) == scores(whole)
    reports = [json.loads((path / "report.json").read_text()) for path in (folder, whole)]
    one, other = ({name: value for name, value in report.items() if "seconds" not in name} for report in reports)
    assert one == other


def test_ctrl_c_leaves_a_folder_to_go_on_with_and_says_how(tmp_path):
    folder = tmp_path / "run"
    stopped = start(*SLOWER, "architectures=3000", "workers=2", f"hydra.run.dir={folder}")
    wait_for(lambda: (folder / "scores.csv").exists() and len(rows(folder)) >= 30, stopped)
    os.killpg(stopped.pid, signal.SIGINT)
    out, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 130, out
    assert f"of 3,000 are scored; go on with resume={folder}" in out
    assert "Traceback" not in out
    wait_for(lambda: group_is_gone(stopped.pid))
    assert len(rows(folder)) >= 30


def interrupted(monkeypatch, tmp_path, *arguments):
    """The folder of a run that was stopped after five architectures."""
    measure, done = Cost.measurements, []

    def stop(self, architecture):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(architecture)
        return measure(self, architecture)

    few = ("architectures=12", "estimator=parameters", "seed=7", *THIN, f"log_dir={tmp_path}", *arguments)
    with monkeypatch.context() as patch:
        patch.setattr(Cost, "measurements", stop)
        assert run(monkeypatch, main, *few) == 130
    return only_run(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_that_an_estimator_finds_while_it_measures_is_one_line_with_how_to_go_on(
    workers, tmp_path, monkeypatch, capsys
):
    (tmp_path / "mine" / "estimator").mkdir(parents=True)
    own = "_target_: tests.supernet.evaluation.estimators.Complaining\n_partial_: true\n"
    (tmp_path / "mine" / "estimator" / "own.yaml").write_text(own)
    folder = tmp_path / "run"
    few = ("estimator=own", "architectures=40", *THIN, f"workers={workers}", f"hydra.run.dir={folder}")
    assert run(monkeypatch, main, "--config-dir", str(tmp_path / "mine"), *few) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line == (
        f"error: the images are too small; use data.size=16 (the run so far is kept; go on with resume={folder})"
    )


def test_a_resumed_run_has_its_own_settings(tmp_path, monkeypatch, capsys):
    folder = interrupted(monkeypatch, tmp_path)
    assert len(rows(folder)) == 5
    assert run(monkeypatch, main, f"resume={folder}", "estimator=naswot") == 1
    assert "resume takes the saved configuration; drop estimator=naswot" in capsys.readouterr().err
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert len(rows(folder)) == 12
    report = json.loads((folder / "report.json").read_text())
    assert (report["estimator"], report["seed"]) == ("parameters", 7)
    assert run(monkeypatch, main, f"resume={folder}") == 0  # a finished run is reported again
    assert len(rows(folder)) == 12


def test_a_list_of_architectures_that_has_gone_is_not_needed_to_go_on(tmp_path, monkeypatch):
    path = tmp_path / "archs.csv"
    small = ("estimator=parameters", *THIN, "benchmark=none")
    assert run(monkeypatch, main, "architectures=12", *small, f"log_dir={tmp_path}/first") == 0
    (only_run(tmp_path / "first") / "architectures.csv").rename(path)
    folder = interrupted(monkeypatch, tmp_path / "second", f"architectures={path}")
    path.unlink()
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert scores(folder) == scores(only_run(tmp_path / "first"))


def test_the_scores_of_an_earlier_run_are_neither_taken_over_nor_lost(tmp_path, monkeypatch, capsys):
    few = ("architectures=6", *THIN, f"hydra.run.dir={tmp_path}/run")
    assert run(monkeypatch, main, "estimator=parameters", *few) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.csv")}
    assert run(monkeypatch, main, "estimator=l2_norm", *few) == 1
    assert "has the scores of an earlier run; go on with it by resume=" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.csv")}
    assert run(monkeypatch, main, f"resume={tmp_path}/run") == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".log"}


@pytest.mark.parametrize("resumed", [False, True])
def test_a_folder_that_another_command_works_in_is_left_alone(resumed, tmp_path, monkeypatch, capsys):
    folder = interrupted(monkeypatch, tmp_path)
    few = (f"resume={folder}",) if resumed else ("architectures=6", *THIN, f"hydra.run.dir={folder}")
    with held(folder / "evaluate.lock") as mine:
        assert mine
        before = contents(folder)
        assert run(monkeypatch, main, *few) == 1
        assert contents(folder) == before
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"another command is at work in {folder}: wait for its end; what it leaves goes on with resume=" in line
    assert "is kept" not in line
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert not (folder / "evaluate.lock").exists()


def test_a_command_that_has_only_begun_has_its_folder_to_itself_too(tmp_path, monkeypatch, capsys):
    folder, few = tmp_path / "run", ("estimator=parameters", "architectures=6", *THIN)
    folder.mkdir()
    with held(folder / "evaluate.lock"):
        assert run(monkeypatch, main, *few, f"hydra.run.dir={folder}") == 1
        assert "another command is at work in" in capsys.readouterr().err
        assert {path.name for path in folder.iterdir() if path.suffix != ".log"} == {".hydra", "evaluate.lock"}
    assert run(monkeypatch, main, *few, f"hydra.run.dir={folder}") == 0


def test_scores_that_come_up_while_the_data_is_loaded_are_not_taken_over(tmp_path, monkeypatch, capsys):
    folder, few = tmp_path / "run", ("architectures=6", *THIN)
    assert run(monkeypatch, main, "estimator=multiply_adds", *few, f"hydra.run.dir={tmp_path}/other") == 0
    theirs, built = (tmp_path / "other" / "scores.csv").read_text(), evaluate.built

    def slowly(*arguments):
        (folder / "scores.csv").write_text(theirs)
        return built(*arguments)

    monkeypatch.setattr(evaluate, "built", slowly)
    assert run(monkeypatch, main, "estimator=parameters", *few, f"hydra.run.dir={folder}") == 1
    assert "has the scores of an earlier run" in capsys.readouterr().err
    assert (folder / "scores.csv").read_text() == theirs
    assert not (folder / "config.yaml").exists()


def trained(folder: Path, best: int = 0) -> Path:
    """A file of trained architectures, the smaller the number of one the better."""
    space = NASBench201()
    some = space.sample(12, torch.Generator().manual_seed(3))
    write_trained(folder / "mine.csv", some, [90.0 - abs(number - best) for number in range(12)], space)
    return folder / "mine.csv"


RIDGE = ("estimator=predictor", "features@estimator.features=one_hot", "model@estimator.model=ridge")


def test_a_run_that_was_given_relative_paths_goes_on_from_another_folder(tmp_path, monkeypatch):
    trained(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    few = (*RIDGE, "estimator.trained=mine.csv", "architectures=6", *THIN)
    assert run(monkeypatch, main, *few, "hydra.run.dir=run") == 0
    folder = tmp_path / "run"
    before = scores(folder)
    (folder / "scores.csv").unlink()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(monkeypatch, main, "resume=../run") == 0
    assert scores(folder) == before


def refused(folder: Path, monkeypatch, capsys, *names: str) -> None:
    """Resuming the run is refused by one line with these names, and nothing is scored."""
    before = (folder / "scores.csv").read_bytes()
    capsys.readouterr()
    assert run(monkeypatch, main, f"resume={folder}") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert all(name in line for name in names), line
    assert (folder / "scores.csv").read_bytes() == before


def test_a_run_does_not_go_on_with_a_file_that_has_changed(tmp_path, monkeypatch, capsys):
    path, folder = trained(tmp_path), tmp_path / "run"
    few = (*RIDGE, f"estimator.trained={tmp_path}/mine.csv", "architectures=6", *THIN)
    assert run(monkeypatch, main, *few, f"hydra.run.dir={folder}") == 0
    before = path.read_text()
    trained(tmp_path, best=7)
    refused(folder, monkeypatch, capsys, "estimator.trained: ", f"{path} has changed since {folder} was begun")
    path.write_text(before)
    assert run(monkeypatch, main, f"resume={folder}") == 0


def test_a_run_does_not_go_on_with_other_images(tmp_path, monkeypatch, capsys):
    for label in ("a", "b"):
        for number in range(6):
            image = tmp_path / "images" / label / f"{number}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(image)
    folder, data = tmp_path / "run", ("data=image_folder", f"data.root={tmp_path}/images")
    few = ("estimator=parameters", "architectures=6", "benchmark=none", *data, *THIN)
    assert run(monkeypatch, main, *few, f"hydra.run.dir={folder}") == 0
    added = [image.with_name(f"{number}.png") for number in range(6, 10)]
    for path in added:
        shutil.copy(image, path)
    refused(folder, monkeypatch, capsys, "data: number of images has changed")
    for path in added:
        path.unlink()
    assert run(monkeypatch, main, f"resume={folder}") == 0


def test_a_run_that_has_no_record_of_its_inputs_does_not_go_on(tmp_path, monkeypatch, capsys):
    folder = interrupted(monkeypatch, tmp_path)
    (folder / "inputs.json").unlink()
    refused(folder, monkeypatch, capsys, "inputs.json is missing", "start a new run")


def test_another_estimator_in_the_saved_configuration_is_noticed(tmp_path, monkeypatch, capsys):
    folder = interrupted(monkeypatch, tmp_path)
    scored = (folder / "scores.csv").read_text().replace("arch,score,seconds", "arch,score,seconds,edges")
    (folder / "scores.csv").write_text(scored)
    assert run(monkeypatch, main, f"resume={folder}") == 1
    assert "has the columns arch,score,seconds,edges, not arch,score,seconds" in capsys.readouterr().err


def test_a_run_of_another_command_cannot_be_resumed(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.yaml").write_text("task_name: search\n")
    assert run(monkeypatch, main, f"resume={tmp_path}") == 1
    assert "is a run of search.py, not of evaluate.py" in capsys.readouterr().err


MISTAKES = [
    (("workers=-1",), "workers=-1: it must be a whole number, at least 0"),
    (("workers=two",), "workers=two: it must be a whole number"),
    (("device=tpu",), "device=tpu: it must be auto, cpu or cuda"),
    (("filter=all",), "filter=all: it must be one of none, valid, no_dangling, unique"),
    (("dataset=mnist",), "dataset=mnist: the NAS-Bench-201 table has no record of 'mnist'; there are cifar10"),
    (("table_epochs=13",), "no record of 'cifar10' after 13 epochs"),
    (("search_space=darts", "benchmark=nasbench201"), "the benchmark knows nasbench201, not darts"),
    (("search_space=darts", "architectures=all"), "architectures=all: darts has"),
    (("search_space=darts", "filter=no_dangling"), "filter=no_dangling: darts does not say"),
    (("search_space=darts", "filter=unique"), "filter=unique: darts has no published classes"),
    (("architectures=1",), "architectures=1: give a number of at least 2"),
    (("architectures=20000",), "only 15625 to choose from"),
    (("estimator=naswot", "estimator.batch_size=5000"), "estimator: batch_size is 5000, but there are"),
    (("estimator=naswott",), "estimator=naswott: no such choice; did you mean naswot?"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_is_told_in_one_line_before_any_work(arguments, message, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *arguments, f"log_dir={tmp_path}") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("error: ")
    assert message in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("content", "message"), [
    ("a,b\n1,2\n", "has no column `arch`"), ("arch\n|none~0|\n", "line 2: "),
    ("id,arch\n5\n", "line 2: "), ("arch\n", "names 0 architectures"),
])  # fmt: skip
def test_a_csv_that_does_not_fit_is_refused(content, message, tmp_path, monkeypatch, capsys):
    path = tmp_path / "archs.csv"
    path.write_text(content)
    assert run(monkeypatch, main, f"architectures={path}", f"log_dir={tmp_path}") == 1
    assert message in capsys.readouterr().err


def test_gpus_are_used_where_there_are_any(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert chosen_devices("auto") == chosen_devices("cuda") == [torch.device("cuda", 0), torch.device("cuda", 1)]
    assert chosen_devices("cpu") == [torch.device("cpu")]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert chosen_devices("auto") == [torch.device("cpu")]


def test_several_estimators_end_in_one_table(tmp_path, monkeypatch, capsys):
    few = ("architectures=30", *THIN, f"log_dir={tmp_path}")
    assert run(monkeypatch, main, "-m", "estimator=parameters,multiply_adds", *few) == 0
    (sweep,) = tmp_path.glob("evaluate/multiruns/*")
    compared = json.loads((sweep / "comparison.json").read_text())
    assert {row["name"] for row in compared} == {"parameters", "multiply_adds"}
    taus = [row["kendall_tau"] for row in compared]
    assert taus == sorted(taus, reverse=True)
    assert (sweep / "comparison.csv").exists()
    assert (sweep / "comparison.png").exists()
    assert "2 evaluations" in capsys.readouterr().out
    assert [scores(sweep / "0")[index][0] for index in range(30)] == [arch for arch, _ in scores(sweep / "1")]


def test_a_run_that_fails_leaves_the_table_of_the_others(tmp_path, monkeypatch, capsys):
    few = ("estimator=parameters,multiply_adds", *THIN, f"log_dir={tmp_path}")
    assert run(monkeypatch, main, "-m", "architectures=12,99999", *few) == 1
    (sweep,) = tmp_path.glob("evaluate/multiruns/*")
    compared = json.loads((sweep / "comparison.json").read_text())
    assert {row["architectures"] for row in compared} == {12}
    assert len(compared) == 2
    assert "2 evaluations" in capsys.readouterr().out


def test_a_run_of_a_sweep_that_is_resumed_joins_its_table(tmp_path, monkeypatch):
    few = ("architectures=12", *THIN, f"log_dir={tmp_path}")
    assert run(monkeypatch, main, "-m", "estimator=parameters,multiply_adds", *few) == 0
    (sweep,) = tmp_path.glob("evaluate/multiruns/*")
    for path in (*sweep.glob("comparison.*"), sweep / "1" / "report.json"):
        path.unlink()
    assert run(monkeypatch, main, f"resume={sweep / '1'}") == 0
    assert len(json.loads((sweep / "comparison.json").read_text())) == 2


def test_every_estimator_is_described():
    text = (ROOT / "docs" / "estimators.md").read_text()
    listed = {name for row in text.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row)}
    assert {path.stem for path in (ROOT / "conf" / "estimator").glob("*.yaml")} <= listed
