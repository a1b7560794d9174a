"""Real commands with two processes: single runs, sweeps by every launcher, and failures in either process.

What Lightning's own launcher does in these cases under Hydra: wrong results without an error, or a dead sweep.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.commands import TINY

ROOT = Path(__file__).parents[3]
PAIR = (*TINY, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "logger=none", "epochs=1",
        "trainer.limit_train_batches=3", "trainer.timeout=60")  # fmt: skip
FAULT = "+callbacks.fault={_target_: tests.supernet.strategies.faults.Fault, rank: %d, how: %s}"


def command(script: str, *arguments: str, timeout: float = 100, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own; no process of it may be left afterwards."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, str(ROOT / script), *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def genotype(folder: Path) -> dict:
    return json.loads((folder / "genotype.json").read_text())


def workers_of(folder: Path) -> list[int]:
    """The processes that still work for a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"strategies.worker" in (text := entry.read_bytes()) and str(folder).encode() in text:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_a_single_run_writes_one_folder_as_ever(tmp_path):
    found = command("search.py", *PAIR, f"hydra.run.dir={tmp_path}/run")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("epoch 1/1") == 1
    assert "training in 2 processes" in found.stdout
    assert genotype(tmp_path / "run")["search_space"] == "nasbench201"
    assert not workers_of(tmp_path)


@pytest.mark.slow
def test_a_sweep_over_the_number_of_processes_is_right_in_every_job(tmp_path):
    settings = (*TINY, "trainer=ddp", "trainer.accelerator=cpu", "logger=none", "epochs=1", "trainer.timeout=60")
    found = command("search.py", "-m", *settings, "trainer.devices=1,2,1", "seed=3", f"hydra.sweep.dir={tmp_path}")
    assert found.returncode == 0, found.stderr
    jobs = [genotype(tmp_path / str(number)) for number in range(3)]
    assert [OmegaConf.load(tmp_path / str(number) / "config.yaml").trainer.devices for number in range(3)] == [1, 2, 1]
    assert jobs[0]["metrics"]["loss/weights"] == jobs[2]["metrics"]["loss/weights"]
    assert jobs[0]["metrics"]["loss/weights"] == pytest.approx(jobs[1]["metrics"]["loss/weights"], rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_failure_in_either_process_fails_that_job_and_not_the_sweep(rank, tmp_path):
    faults = f"+callbacks.fault={{_target_: tests.supernet.strategies.faults.Fault, rank: {rank}}},null"
    found = command("search.py", "-m", *PAIR, faults, f"hydra.sweep.dir={tmp_path}")
    assert found.returncode == 1
    assert f"process {rank} of 2 failed: ArithmeticError: broken on purpose" in found.stderr
    assert not (tmp_path / "0" / "genotype.json").exists()
    assert genotype(tmp_path / "1")
    assert not workers_of(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_run_jobs_of_two_processes(launcher, tmp_path):
    options = {"joblib": "hydra.launcher.n_jobs=2", "submitit_local": "hydra.launcher.timeout_min=5"}[launcher]
    found = command(
        "search.py", "-m", *PAIR, f"hydra/launcher={launcher}", options, "seed=1,2", f"hydra.sweep.dir={tmp_path}"
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert all(genotype(tmp_path / job) for job in ("0", "1"))


@pytest.mark.slow
def test_a_training_in_a_sweep_ends_with_its_test_accuracy(tmp_path):
    cell = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    found = command("train.py", "-m", *PAIR, f'genotype="{cell}"', "seed=1,2", f"hydra.sweep.dir={tmp_path}")
    assert found.returncode == 0, found.stderr
    for job in ("0", "1"):
        assert 0 <= json.loads((tmp_path / job / "metrics.json").read_text())["test_accuracy"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_run_which_can_be_resumed(rank, tmp_path):
    fault = FAULT % (rank, "kill")
    start = time.monotonic()
    found = command("search.py", *PAIR, fault, f"hydra.run.dir={tmp_path}")
    assert found.returncode == 1
    assert f"process {rank} of 2 was ended by SIGKILL" in found.stderr
    assert f"go on with resume={tmp_path}" in found.stderr
    assert time.monotonic() - start < 60
    assert not workers_of(tmp_path)


def test_lightnings_own_strategies_are_refused_with_what_to_use():
    found = command("search.py", "-m", *TINY, "+trainer.strategy=ddp", "trainer.devices=2", "seed=1,2")
    assert found.returncode == 1
    assert "use trainer=ddp trainer.devices=<number>" in found.stderr


def test_a_batch_that_cannot_be_shared_is_refused():
    found = command("search.py", *PAIR, "trainer.devices=3")
    assert found.returncode == 1
    assert "batch_size=8 cannot be shared by 3 processes" in found.stderr
