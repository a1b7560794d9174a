"""A job of a sweep that starts again goes on where it was, and touches nothing that is not its own."""

from __future__ import annotations

import subprocess
import sys

from supernet import search
from tests.commands import TINY, run

BRIEF = (*TINY, "epochs=1", "logger=none", "trainer.limit_train_batches=2", "trainer.limit_val_batches=2")


def test_a_job_waits_for_a_process_that_works_on_it_still(tmp_path, monkeypatch):
    folder = tmp_path / "sweep"
    assert run(monkeypatch, search.main, "-m", "seed=0,1", *BRIEF, f"hydra.sweep.dir={folder}") == 0
    script = (
        "import fcntl, sys, time, pathlib; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('locked', flush=True); sys.stdin.read(); time.sleep(0.5); pathlib.Path(sys.argv[2]).touch()"
    )
    command = [sys.executable, "-c", script, str(folder / "1" / "job.json"), str(tmp_path / "ended")]
    told = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:

        def release(message, *arguments):
            told.append(message % arguments)
            other.stdin.close()  # it works for a little while still

        other.stdout.readline()
        monkeypatch.setattr("supernet.jobs.log.warning", release)
        assert run(monkeypatch, search.main, f"resume={folder}") == 0
        assert (tmp_path / "ended").exists()
    assert told == [f"another process works on {folder / '1'}: waiting for it to end"]


def test_a_sampler_is_told_of_the_failures_that_it_has_gone_on_after(tmp_path, monkeypatch):
    settings = ("sweep=optuna", *BRIEF, "hydra.sweeper.n_trials=4", "hydra.sweeper.max_failure_rate=1.0")
    clip = "clip=choice(-1.0,5.0)"  # the first is refused
    folder = tmp_path / "sweep"
    assert run(monkeypatch, search.main, *settings, clip, f"hydra.sweep.dir={folder}") == 0
    jobs = {path.parent.name: path.read_text() for path in folder.glob("*/job.json")}
    failed = {path.parent.name for path in folder.glob("*/failure.json")}
    assert 0 < len(failed) < 4
    monkeypatch.setattr("supernet.compose.check", lambda cfg: None)  # now they would not fail
    monkeypatch.setattr("supernet.search.searched", lambda run: 0.5)
    assert run(monkeypatch, search.main, f"resume={folder}") == 0
    assert {path.parent.name: path.read_text() for path in folder.glob("*/job.json")} == jobs
    assert {path.parent.name for path in folder.glob("*/failure.json")} == failed - {"3"}  # after it there was nothing


def test_a_mistake_leaves_the_run_that_is_there_as_it_is(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, search.main, *BRIEF, f"hydra.run.dir={tmp_path}/run") == 0
    assert run(monkeypatch, search.main, *BRIEF, f"hydra.run.dir={tmp_path}/run") == 1
    assert "has a run already" in capsys.readouterr().err
    assert not (tmp_path / "run" / "failure.json").exists()
    folder = tmp_path / "sweep"
    assert run(monkeypatch, search.main, "-m", "seed=0,1", *BRIEF, f"hydra.sweep.dir={folder}") == 0
    (folder / "1" / "job.json").write_text('{"overrides": ["seed=7"]}')
    (folder / "1" / "genotype.json").unlink()
    assert run(monkeypatch, search.main, f"resume={folder}") == 1
    assert f"{folder}/1 is a job with other settings" in capsys.readouterr().err
    assert not (folder / "1" / "failure.json").exists()
