"""A sweep that was killed goes on where it was, with what the first start was told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from supernet import search, train
from supernet.sweeps import SWEEP, is_sweep
from tests.commands import TINY, run

ROOT = Path(__file__).parents[2]
BRIEF = (*TINY, "epochs=1", "logger=none", "trainer.limit_train_batches=2", "trainer.limit_val_batches=2")
FAULT = "_target_: tests.supernet.strategies.faults.Fault"


def start(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "search.py"), *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=stdout, stderr=subprocess.STDOUT, text=True, cwd=ROOT, start_new_session=True
    )


def finish(process: subprocess.Popen) -> str:
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    return out


def kill_when(process: subprocess.Popen, reached) -> None:
    """SIGKILL as soon as a condition holds."""
    limit = time.monotonic() + 200
    while not reached():
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def genotype(folder: Path) -> dict:
    return json.loads((folder / "genotype.json").read_text())


def value(folder: Path) -> float:
    return genotype(folder)["metrics"]["accuracy/discretized"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(sorted((folder / "checkpoints").glob("*.ckpt"))[-1], weights_only=True)["state_dict"]


def marks(folder: Path) -> dict[str, int]:
    """When each job's result was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/genotype.json")}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_killed_in_the_middle_of_a_job_goes_on(launcher, tmp_path, monkeypatch):
    settings = (*TINY, "epochs=3", "logger=none", "seed=0,1,2")
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(
        "-m", *settings, f"hydra/launcher={launcher}", f"hydra.sweep.dir={folder}", stdout=subprocess.DEVNULL
    )
    kill_when(process, (folder / "1" / "checkpoints" / "epoch_0001.ckpt").exists)
    before = marks(folder)
    out = finish(start("-m", f"resume={folder}"))
    assert "has finished before" in out
    assert "3 runs: 3 finished" in out
    after = marks(folder)
    assert all(after[job] == mark for job, mark in before.items())
    if launcher == "basic":  # joblib's worker may have ended its job by itself
        assert set(before) == {"0"}
        assert "going on from" in out
    assert run(monkeypatch, search.main, "-m", *settings, f"hydra.sweep.dir={whole}") == 0
    for job in ("0", "1", "2"):
        assert genotype(folder / job)["architecture"] == genotype(whole / job)["architecture"]
        found, expected = weights(folder / job), weights(whole / job)
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    with contextlib.suppress(ProcessLookupError):  # joblib's workers live on
        os.killpg(process.pid, signal.SIGKILL)


def test_a_sampler_that_learns_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    settings = ("sweep=optuna", *BRIEF, "hydra.sweeper.n_trials=5", "hydra.sweeper.sampler.n_startup_trials=2")
    folder = tmp_path / "sweep"
    assert run(monkeypatch, search.main, *settings, f"hydra.sweep.dir={folder}") == 0
    jobs = {path.parent.name: path.read_text() for path in folder.glob("*/job.json")}
    assert len(set(jobs.values())) == 5
    best = (folder / "optimization_results.yaml").read_text()
    assert yaml.safe_load(best)["best_value"] == max(value(folder / job) for job in jobs)
    before = marks(folder)
    for path in (*(folder / "3").iterdir(), *(folder / "4").iterdir()):  # as if killed in the fourth
        if path.is_file():
            path.unlink()
    (folder / "optimization_results.yaml").unlink()
    assert run(monkeypatch, search.main, f"resume={folder}") == 0
    assert {path.parent.name: path.read_text() for path in folder.glob("*/job.json")} == jobs
    assert (folder / "optimization_results.yaml").read_text() == best
    after = marks(folder)
    assert sorted(job for job in before if after[job] == before[job]) == ["0", "1", "2"]


def test_a_failed_job_has_its_reason_and_is_tried_again(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "sweep"
    arguments = ("-m", "batch_size=8,1000", *(one for one in BRIEF if not one.startswith("batch_size")))
    assert run(monkeypatch, search.main, *arguments, f"hydra.sweep.dir={folder}") == 1
    assert "batch_size=1000" in json.loads((folder / "1" / "failure.json").read_text())["reason"]
    out = capsys.readouterr().out
    assert "2 runs: 1 finished, 1 failed" in out
    assert "1 (batch_size=1000) failed: data.batch_size=1000" in out
    monkeypatch.setattr("supernet.search.searched", lambda run: 0.5)  # whatever was wrong is mended
    assert run(monkeypatch, search.main, "-m", f"resume={folder}") == 0
    assert not (folder / "1" / "failure.json").exists()


def test_a_single_run_that_has_begun_keeps_the_reason_until_it_ends_well(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "history.csv")

    with monkeypatch.context() as broken:
        broken.setattr("supernet.callbacks.history.write_atomically", full)
        assert run(broken, search.main, *BRIEF, f"hydra.run.dir={tmp_path}/run") == 1
    assert "No space left" in json.loads((tmp_path / "run" / "failure.json").read_text())["reason"]
    assert run(monkeypatch, search.main, f"resume={tmp_path}/run") == 0
    assert not (tmp_path / "run" / "failure.json").exists()


def test_a_job_of_a_sweep_that_is_resumed_by_itself_joins_its_table(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "sweep"
    assert run(monkeypatch, search.main, "-m", "seed=0,1", *BRIEF, f"hydra.sweep.dir={folder}") == 0
    (folder / "1" / "genotype.json").unlink()
    (folder / "summary.csv").unlink()
    capsys.readouterr()
    assert run(monkeypatch, search.main, f"resume={folder}/1") == 0
    assert "2 runs: 2 finished" in capsys.readouterr().out
    assert (folder / "summary.csv").exists()


def test_a_sweep_of_trainings_goes_on(tmp_path, monkeypatch, capsys):
    cell = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    folder = tmp_path / "sweep"
    arguments = ("sweep=seeds", "seed=0,1", f"genotype='{cell}'", *BRIEF, f"hydra.sweep.dir={folder}")
    assert run(monkeypatch, train.main, *arguments) == 0
    (folder / "1" / "metrics.json").unlink()
    before = (folder / "0" / "metrics.json").stat().st_mtime_ns
    assert run(monkeypatch, train.main, f"resume={folder}") == 0
    assert (folder / "0" / "metrics.json").stat().st_mtime_ns == before
    assert (folder / "1" / "metrics.json").exists()
    assert "2 runs: 2 finished" in capsys.readouterr().out


def test_another_sweep_in_the_same_folder_is_refused(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "sweep"
    assert run(monkeypatch, search.main, "-m", "seed=0,1", *BRIEF, f"hydra.sweep.dir={folder}") == 0
    assert run(monkeypatch, search.main, "-m", "seed=0,2", *BRIEF, f"hydra.sweep.dir={folder}") == 1
    assert "a sweep that was started with other settings (seed=0,1, seed=0,2)" in capsys.readouterr().err
    content = yaml.safe_load((folder / SWEEP).read_text())
    content["config"]["epochs"] = 7  # as if the configuration files had another value then
    (folder / SWEEP).write_text(yaml.safe_dump(content))
    assert run(monkeypatch, search.main, f"resume={folder}") == 1
    assert "other settings (epochs)" in capsys.readouterr().err


def test_a_sampler_without_a_seed_or_with_a_data_base_cannot_be_repeated(tmp_path, monkeypatch, capsys):
    settings = ("sweep=optuna", *BRIEF, "hydra.sweeper.n_trials=1")
    for own, message in (
        (("hydra.sweeper.sampler.seed=null",), "a sampler without a seed would propose other settings"),
        ((f"hydra.sweeper.storage='sqlite:///{tmp_path}/study.db'",), "keeps its trials in a data base"),
    ):
        folder = tmp_path / own[0].partition("=")[0]
        assert run(monkeypatch, search.main, *settings, *own, f"hydra.sweep.dir={folder}") == 0
        assert run(monkeypatch, search.main, *settings, *own, f"hydra.sweep.dir={folder}") == 1
        assert message in capsys.readouterr().err
    assert (tmp_path / "study.db").exists()


def test_a_run_is_no_sweep(tmp_path, monkeypatch, capsys):
    assert not is_sweep(tmp_path)
    (tmp_path / "config.yaml").touch()
    assert run(monkeypatch, search.main, "-m", f"resume={tmp_path}") == 1
    assert "that is a run and no sweep; leave out -m" in capsys.readouterr().err
    (tmp_path / SWEEP).touch()
    assert is_sweep(tmp_path)
