"""Real commands with two processes: single runs, sweeps by every launcher, and failures in either process.

What Lightning's own launcher does in these cases under Hydra: wrong results without an error, or a dead sweep.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from supernet import search
from supernet.preemption import Requests
from supernet.strategies.launching import _watch
from tests.commands import TINY, run
from tests.supernet.callbacks.test_interim import compare

ROOT = Path(__file__).parents[3]
PAIR = (*TINY, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "logger=none", "epochs=1",
        "trainer.limit_train_batches=3", "trainer.timeout=60")  # fmt: skip
FAULT = "+callbacks.fault={_target_: tests.supernet.strategies.faults.Fault, rank: %d, how: %s}"


MARK = f"TESTS_OF={os.getpid()}"  # in the environment of all that is started here


def surroundings(**changes: str) -> dict[str, str]:
    name, value = MARK.split("=")
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), name: value, **changes}


def command(script: str, *arguments: str, timeout: float = 250, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own; no process of it may be left afterwards."""
    return subprocess.run(
        [sys.executable, str(ROOT / script), *arguments],
        cwd=ROOT, env=surroundings(**environment), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


@contextmanager
def started(script: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs beside the test, and no longer."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / script), *arguments],
        cwd=ROOT, env=surroundings(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def genotype(folder: Path) -> dict:
    return json.loads((folder / "genotype.json").read_text())


def workers() -> list[int]:
    """The processes that still train for a command of these tests."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = MARK.encode() in (entry / "environ").read_bytes().split(b"\0")
            if ours and b"supernet.strategies.worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> Path:
    """The folder of a run by itself, which a job with the same settings must equal."""
    folder = tmp_path_factory.mktemp("single") / "run"
    found = command("search.py", *PAIR, f"hydra.run.dir={folder}")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("epoch 1/1") == 1
    assert "training in 2 processes" in found.stdout
    return folder


def test_a_single_run_writes_one_folder_as_ever(single):
    assert [path.name for path in single.parent.iterdir()] == ["run"]
    assert genotype(single)["search_space"] == "nasbench201"
    assert not workers()


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
def test_a_failure_in_either_process_fails_that_job_and_not_the_sweep(rank, single, tmp_path):
    faults = f"+callbacks.fault={{_target_: tests.supernet.strategies.faults.Fault, rank: {rank}}},null"
    found = command("search.py", "-m", *PAIR, faults, f"hydra.sweep.dir={tmp_path}")
    assert found.returncode == 1
    assert f"process {rank} of 2 failed: ArithmeticError: broken on purpose" in found.stderr
    assert not (tmp_path / "0" / "genotype.json").exists()
    compare(tmp_path / "1", single)
    assert not workers()


@pytest.mark.slow
def test_a_sampler_proposes_the_same_to_both_processes(tmp_path):
    """Where each had a study of its own, their learning rates and so their alphas would differ."""
    found = command("search.py", "sweep=optuna", *PAIR, "hydra.sweeper.n_trials=2", f"hydra.sweep.dir={tmp_path}")
    assert found.returncode == 0, found.stderr
    assert "2 runs: 2 finished" in found.stdout
    (results,) = tmp_path.rglob("optimization_results.yaml")
    values = [genotype(tmp_path / job)["metrics"]["accuracy/discretized"] for job in ("0", "1")]
    assert yaml.safe_load(results.read_text())["best_value"] == max(values)


@pytest.mark.slow
def test_torchrun_may_start_the_processes(single, tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(ROOT / "search.py"))
    found = subprocess.run(
        [sys.executable, *torchrun, *PAIR, f"hydra.run.dir={tmp_path}"], cwd=ROOT, capture_output=True, text=True,
        env=surroundings(), timeout=250, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    compare(tmp_path, single)
    assert not workers()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_run_jobs_of_two_processes(launcher, single, tmp_path):
    options = {"joblib": "hydra.launcher.n_jobs=2", "submitit_local": "hydra.launcher.timeout_min=5"}[launcher]
    found = command(
        "search.py", "-m", *PAIR, f"hydra/launcher={launcher}", options, "seed=0,2", f"hydra.sweep.dir={tmp_path}"
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    compare(tmp_path / "0", single)
    assert genotype(tmp_path / "1")["config"]["seed"] == 2


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
    # The other process would wait for it as long as that, which is longer than the test waits for the command.
    found = command("search.py", *PAIR, fault, "trainer.timeout=3600", f"hydra.run.dir={tmp_path}")
    assert found.returncode == 1
    assert f"process {rank} of 2 was ended by SIGKILL" in found.stderr
    assert f"go on with resume={tmp_path}" in found.stderr
    assert not workers()


@pytest.mark.slow
def test_a_request_to_one_process_saves_within_the_epoch_and_the_run_goes_on_bit_for_bit(tmp_path):
    settings = (*PAIR, "data.num_images=320", "trainer.limit_train_batches=14")
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert command("search.py", *settings, f"hydra.run.dir={whole}").returncode == 0
    found = command("search.py", *settings, FAULT % (1, "ask"), f"hydra.run.dir={folder}")
    assert found.returncode == 128 + signal.SIGTERM, found.stderr
    assert f"asked to end by SIGTERM; what was done is saved, go on with resume={folder}" in found.stdout
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["within_0001.ckpt"]
    config = OmegaConf.load(folder / "config.yaml")
    del config.callbacks.fault
    OmegaConf.save(config, folder / "config.yaml")
    assert command("search.py", f"resume={folder}").returncode == 0
    compare(folder, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_process_that_ends_as_asked_does_not_end_those_that_still_save(number):
    both = [subprocess.Popen(["sh", "-c", text]) for text in (f"exit {128 + number}", "sleep 1; exit 0")]
    assert _watch(both, Requests()) == [0]
    assert [one.returncode for one in both] == [128 + number, 0]


@pytest.mark.slow
def test_a_request_to_the_command_reaches_its_processes(tmp_path):
    settings = (*PAIR, "epochs=200", f"hydra.run.dir={tmp_path}")
    with started("search.py", *settings) as process:
        wait_for((tmp_path / "checkpoints" / "epoch_0001.ckpt").exists)
        assert len(workers()) == 2
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "go on with resume=" in output
    assert not workers()


@pytest.mark.slow
def test_a_full_disk_is_told_with_the_remedy(tmp_path):
    found = command("search.py", *PAIR, FAULT % (0, "disk"), f"hydra.run.dir={tmp_path}")
    assert found.returncode == 1
    assert "no space left on the device for checkpoint; free some, or choose another log_dir=" in found.stderr
    assert not workers()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_told_with_its_batch(tmp_path):
    poison = "+callbacks.poison={_target_: tests.supernet.modules.test_finite.Poison, _args_: [[0, 1]]}"
    found = command("search.py", *PAIR, poison, f"hydra.run.dir={tmp_path}/one")
    assert found.returncode == 1
    assert "epoch 1, batch 2: the gradient of the weights is not finite" in found.stderr
    left_out = command("search.py", *PAIR, poison, "max_skipped_steps=1", f"hydra.run.dir={tmp_path}/two")
    assert left_out.returncode == 0, left_out.stderr


@pytest.mark.slow
def test_two_nodes_search_as_one_and_the_others_folder_stays_clean(tmp_path):
    settings = (*PAIR, "trainer.devices=1", "trainer.num_nodes=2")
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    with started("search.py", *settings, f"hydra.run.dir={tmp_path}/other", NODE_RANK="1", **place) as other:
        found = command("search.py", *settings, f"hydra.run.dir={tmp_path}/run", NODE_RANK="0", **place)
        assert other.wait(timeout=60) == 0, other.stderr.read()
    assert found.returncode == 0, found.stderr
    assert genotype(tmp_path / "run")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_node_that_does_not_come_up_is_named_after_the_limit(tmp_path):
    settings = (*PAIR, "trainer.devices=1", "trainer.num_nodes=2", "trainer.timeout=5", f"hydra.run.dir={tmp_path}/run")
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    alone = command("search.py", *settings, NODE_RANK="0", **place)
    assert alone.returncode == 1
    assert "processes 1 of 2 were not there after 5 s" in alone.stderr
    other = command("search.py", *settings, NODE_RANK="1", **place)
    assert other.returncode == 1
    assert f"the first node, 127.0.0.1:{place['MASTER_PORT']}, was not there after 5 s" in other.stderr


def test_lightnings_own_strategies_are_refused_with_what_to_use(tmp_path, monkeypatch, capsys):
    ddp = ("+trainer.strategy=ddp", "trainer.devices=2", "seed=1,2", f"hydra.sweep.dir={tmp_path}")
    assert run(monkeypatch, search.main, "-m", *TINY, *ddp) == 1
    assert "use trainer=ddp trainer.devices=<number>" in capsys.readouterr().err
