"""Real commands that share an evaluation, as nodes would; the folder is all that they have in common."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from supernet.evaluate import main
from supernet.sharing import differing
from tests.commands import run

ROOT = Path(__file__).parents[2]
THIN = ("search_space.channels=4", "search_space.cells_per_stage=1")
NASWOT = ("estimator=naswot", "estimator.batch_size=16", "workers=1", *THIN)
MODULE = ("-m", "supernet.evaluate")
STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _none_is_left():
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def start(*arguments: str, command: tuple[str, ...] = MODULE, **environment: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(
        [sys.executable, *command, *arguments], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    STARTED.append(process)
    return process


def nodes(count: int, *arguments: str) -> list[subprocess.Popen[str]]:
    settings = (*arguments, f"num_nodes={count}")
    settings = settings if any(one.startswith("timeout=") for one in settings) else (*settings, "timeout=60")
    return [start(*settings, NODE_RANK=str(node)) for node in range(count)]


def ended(processes: list[subprocess.Popen[str]]) -> list[str]:
    """What they said, when all have ended well."""
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same(one: Path, other: Path) -> None:
    """The same files of scores, and the same reports, but for the seconds."""
    assert [{**row, "seconds": ""} for row in rows(one)] == [{**row, "seconds": ""} for row in rows(other)]
    reports = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    left, right = ({name: value for name, value in found.items() if "seconds" not in name} for found in reports)
    assert left == right


def scored(folder: Path) -> dict[str, dict[str, str]]:
    """By architecture the whole lines that nodes have written so far."""
    found = {}
    for path in folder.glob("parts/*/*.csv"):
        for line in path.read_text().rpartition("\n")[0].splitlines()[1:]:
            found[line.partition(",")[0]] = line
    return found


def test_two_nodes_give_what_one_process_gives(tmp_path, monkeypatch):
    parts = [f"estimator.estimators.{name}.batch_size=4" for name in ("expressivity", "progressivity", "trainability")]
    few = ("estimator=az_nas", "architectures=16", "workers=1", *parts, *THIN)
    processes = nodes(2, *few, f"hydra.run.dir={tmp_path}/two")
    assert run(monkeypatch, main, *few, f"hydra.run.dir={tmp_path}/one") == 0
    first, second = ended(processes)
    assert_same(tmp_path / "one", tmp_path / "two")
    assert "Kendall's tau" in first
    assert "Kendall's tau" not in second
    # Where the first is up so much earlier that it has scored them all, the second says so.
    assert any(told in second for told in ("process 1 of 2 has scored", "nothing is left for process 1 of 2"))


@pytest.mark.slow
def test_a_node_is_killed_and_another_number_of_nodes_goes_on(tmp_path, monkeypatch):
    folder, many = tmp_path / "run", (*NASWOT, "architectures=500")
    processes = nodes(3, *many, "timeout=15", f"hydra.run.dir={folder}")
    limit = time.monotonic() + 60
    while not any(path.read_text().count("\n") > 9 for path in folder.glob("parts/*/1.csv")):
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.kill(processes[1].pid, signal.SIGSTOP)  # its claims are taken, and nothing more comes from it
    said = [processes[index].communicate(timeout=120)[0] for index in (0, 2)]
    processes[1].kill()
    processes[1].communicate()
    assert (processes[0].returncode, processes[2].returncode) == (1, 0), said
    assert "that process 1 of 3 (" in said[0]
    assert f"go on with resume={folder}" in said[0]
    before = scored(folder)
    assert 400 < len(before) < 500

    ended([start(f"resume={folder}", "num_nodes=2", "workers=1", NODE_RANK=str(node)) for node in (1, 0)])
    after = {row["arch"]: row for row in rows(folder)}
    assert len(after) == 500
    for arch, line in before.items():  # with their seconds: not scored again
        assert line.split(",")[2] == after[arch]["seconds"]
    assert run(monkeypatch, main, *many, f"hydra.run.dir={tmp_path}/one") == 0
    assert_same(tmp_path / "one", folder)


@pytest.mark.slow
def test_the_first_node_is_killed_and_the_others_score_the_rest(tmp_path, monkeypatch):
    folder, many = tmp_path / "run", (*NASWOT, "architectures=400")
    first, second = nodes(2, *many, f"hydra.run.dir={folder}")
    limit = time.monotonic() + 60
    while not all(list(folder.glob(f"parts/*/{number}.csv")) for number in (0, 1)):
        assert time.monotonic() < limit
        time.sleep(0.01)
    first.kill()
    first.communicate()
    ended([second])
    before = scored(folder)
    assert 300 < len(before) <= 400
    assert run(monkeypatch, main, f"resume={folder}", "workers=1") == 0
    assert {row["arch"]: row["seconds"] for row in rows(folder)}.items() >= {
        arch: line.split(",")[2] for arch, line in before.items()
    }.items()
    assert run(monkeypatch, main, *many, f"hydra.run.dir={tmp_path}/one") == 0
    assert_same(tmp_path / "one", folder)


@pytest.mark.slow
def test_a_sweep_on_two_nodes_ends_in_one_table(tmp_path, monkeypatch):
    few = ("-m", "estimator=parameters,multiply_adds", "architectures=30,99999", *THIN)
    processes = nodes(2, *few, f"hydra.sweep.dir={tmp_path}/two")
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert processes[0].returncode == 1
    assert "only 15625 to choose from" in said[0]
    assert "2 evaluations" in said[0]
    assert "evaluations" not in said[1]
    assert run(monkeypatch, main, *few, f"hydra.sweep.dir={tmp_path}/one") == 1
    jobs = [[row["folder"] for row in json.loads((tmp_path / sweep / "comparison.json").read_text())]
             for sweep in ("one", "two")]  # fmt: skip
    assert jobs[0] == jobs[1]
    for job in ("0", "2"):
        assert_same(tmp_path / "one" / job, tmp_path / "two" / job)


@pytest.mark.slow
def test_torchrun_starts_each_worker(tmp_path, monkeypatch):
    few = (*(setting for setting in NASWOT if not setting.startswith("workers")), "architectures=60")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python")
    (said,) = ended([start(*MODULE, *few, "workers=2", f"hydra.run.dir={tmp_path}/two",
                           command=(*torchrun, sys.executable))])  # fmt: skip
    assert "process 1 of 2 has scored" in said
    assert run(monkeypatch, main, *few, "workers=1", f"hydra.run.dir={tmp_path}/one") == 0
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_an_estimator_that_looks_at_all_at_once_is_left_to_the_first_node(tmp_path, monkeypatch):
    (tmp_path / "conf" / "estimator").mkdir(parents=True)
    (tmp_path / "conf" / "estimator" / "own.yaml").write_text(
        "_target_: tests.supernet.evaluation.estimators.Together\n_partial_: true\n"
    )
    few = ("--config-dir", str(tmp_path / "conf"), "estimator=own", "architectures=30", *THIN)
    _, second = ended(nodes(2, *few, f"hydra.run.dir={tmp_path}/two"))
    assert "own looks at all architectures at once" in second or "is scored already" in second
    assert run(monkeypatch, main, *few, f"hydra.run.dir={tmp_path}/one") == 0
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_nodes_with_other_settings_are_refused_and_end_the_run(tmp_path):
    many = (*NASWOT, "architectures=2000", "num_nodes=2", f"hydra.run.dir={tmp_path}/run")
    first, second = start(*many, NODE_RANK="0"), start(*many, "seed=3", NODE_RANK="1")
    said = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (1, 1)
    message = "seed is not what process 0 was started with; start all with the same settings"
    assert f"error: {message}" in said[1]
    assert f"error: process 1 of 2 failed: {message}; go on with resume={tmp_path}/run" in said[0]


MISTAKES = [
    (("num_nodes=0",), {}, "num_nodes=0: it must be a whole number, at least 1"),
    (("num_nodes=two",), {}, "num_nodes=two: it must be a whole number, at least 1"),
    (("timeout=0",), {}, "timeout=0: it must be a number of seconds, more than 0"),
    (("num_nodes=2",), {}, "num_nodes=2: start the same command on every node with NODE_RANK"),
    (("num_nodes=2",), {"NODE_RANK": "2"}, "on node 2, of 2 in all; let them agree"),
    (("num_nodes=2",), {"NODE_RANK": "1"}, "give all the same hydra.run.dir=<folder>, as the default has the time"),
    (("num_nodes=2",), {"NODE_RANK": "0"}, "give all the same hydra.run.dir=<folder>, as the default has the time"),
    ((), {"LOCAL_RANK": "0", "GROUP_RANK": "0", "WORLD_SIZE": "4"}, "num_nodes=1 and workers=null make one process"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "environment", "message"), MISTAKES)
def test_a_mistake_is_told_in_one_line_before_any_work(arguments, environment, message, tmp_path, monkeypatch, capsys):
    for name in ("NODE_RANK", "GROUP_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(monkeypatch, main, *arguments, f"log_dir={tmp_path}") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("error: ")
    assert message in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_sweep_needs_a_folder_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NODE_RANK", "1")
    assert run(monkeypatch, main, "-m", "num_nodes=2", "seed=1,2", f"log_dir={tmp_path}") == 1
    assert "give all the same hydra.sweep.dir=<folder>" in capsys.readouterr().err


def test_a_first_node_that_does_not_come_up_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NODE_RANK", "1")
    assert run(monkeypatch, main, "num_nodes=2", "timeout=0.5", f"hydra.run.dir={tmp_path}/run") == 1
    assert "process 0 of 2 has not begun to score in" in capsys.readouterr().err


def test_settings_of_the_machine_may_differ():
    one = OmegaConf.create({"seed": 1, "workers": 2, "data": {"root": "x", "download": True}, "estimator": {"k": [1]}})
    same = OmegaConf.create(
        {"seed": 1, "workers": 8, "data": {"root": "x", "download": False}, "estimator": {"k": [1]}}
    )
    assert differing(one, same) is None
    assert differing(one, OmegaConf.merge(same, {"estimator": {"k": [2]}})) == "estimator.k"
    assert differing(one, OmegaConf.merge(same, {"estimator": {"more": 0}})) == "estimator.more"
    assert differing(one, OmegaConf.merge(same, {"seed": 2})) == "seed"


def test_what_the_first_process_has_looked_up_the_others_need_not_know():
    none, found, other = (OmegaConf.create({"estimator": {"epochs": epochs}}) for epochs in (None, [4, 5], [3]))
    assert differing(none, found) is None
    assert differing(other, found) == "estimator.epochs"
    assert differing(OmegaConf.create({"epochs": None}), OmegaConf.create({"epochs": 3})) == "epochs"
