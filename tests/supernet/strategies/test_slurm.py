"""What SLURM starts, on a simulated cluster: nothing here was run on a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supernet.errors import UserError
from supernet.strategies.places import places
from tests.commands import TINY
from tests.supernet.strategies.cluster import install

ROOT = Path(__file__).parents[3]
TASK = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "search", "SLURM_JOB_ID": "71234",
        "SLURM_NODELIST": "gpu[07-08]", "SLURM_NODEID": "1", "SLURM_LOCALID": "1", "SLURM_PROCID": "3"}  # fmt: skip


def on_cluster(monkeypatch, **changes: str) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in {**TASK, **changes}.items():
        monkeypatch.setenv(name, value)


def test_each_task_is_one_process_and_knows_the_first_node(monkeypatch):
    on_cluster(monkeypatch)
    found = places("cpu", 2, 2)
    assert (found.node, found.local, found.nodes, found.size, found.leads) == (1, (1,), 2, 4, False)
    assert found.address == ("gpu07", str(15000 + 1234))
    on_cluster(monkeypatch, SLURM_NODEID="0", SLURM_LOCALID="0", SLURM_PROCID="0")
    assert places("cpu", 2, 2).leads


def test_other_tasks_than_the_trainer_asks_for_are_refused(monkeypatch):
    on_cluster(monkeypatch)
    with pytest.raises(UserError, match="of 4 in all; let them agree"):
        places("cpu", 2, 1)


@pytest.mark.slow
def test_a_job_of_a_sweep_that_meets_its_time_limit_is_queued_again_and_goes_on(tmp_path):
    """SLURM sends USR2 before the limit; submitit then queues the job again, with the same folder."""
    (tmp_path / "bin").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **install(tmp_path / "bin")}
    folder = tmp_path / "sweep"
    settings = [one for one in TINY if not one.startswith("trainer=")]
    command = [
        sys.executable, str(ROOT / "search.py"), "-m", "hydra/launcher=slurm", "trainer=slurm", "trainer.devices=2",
        "trainer.accelerator=cpu", *settings, "epochs=30", "logger=none", "seed=3", f"hydra.sweep.dir={folder}",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as sweep:
        limit = time.monotonic() + 100
        while not (folder / "0" / "checkpoints" / "epoch_0002.ckpt").exists():
            assert time.monotonic() < limit, (tmp_path / "bin" / "log").read_text()
            assert sweep.poll() is None, sweep.stdout.read()
            time.sleep(0.05)
        for task in (tmp_path / "bin" / "tasks").read_text().split():
            os.kill(int(task), signal.SIGUSR2)
        out, _ = sweep.communicate(timeout=150)
    log = (tmp_path / "bin" / "log").read_text()
    assert sweep.returncode == 0, out + log
    assert "1 run: 1 finished" in out
    assert log.count("training in 2 processes") == 2
    assert "going on from" in log
    assert len((folder / "0" / "history.csv").read_text().splitlines()) == 31
    assert json.loads((folder / "0" / "genotype.json").read_text())["config"]["trainer"]["devices"] == 2


@pytest.mark.slow
def test_a_single_run_of_two_tasks_has_one_folder(tmp_path):
    settings = [one for one in TINY if not one.startswith("trainer=")]
    command = [
        sys.executable, str(ROOT / "search.py"), "trainer=slurm", "trainer.devices=2", "trainer.accelerator=cpu",
        *settings, "logger=none", f"log_dir={tmp_path}",
    ]  # fmt: skip
    tasks = []
    for rank in "01":
        task = {
            **TASK, "SLURM_NTASKS": "2", "SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0", "SLURM_LOCALID": rank,
            "SLURM_PROCID": rank, "SLURM_JOB_ID": str(10000 + os.getpid() % 9000),
        }  # fmt: skip
        environment = {**os.environ, **task, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        tasks.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    for task in tasks:
        _, error = task.communicate(timeout=200)
        assert task.returncode == 0, error
    (folder,) = tmp_path.glob("search/runs/*")
    assert (folder / "genotype.json").exists()
