"""A search that was killed and resumed ends like one that was not, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from supernet.search import main
from tests.commands import run

ROOT = Path(__file__).parents[2]
ARGUMENTS = (
    "data=synthetic", "data.num_images=160", "data.size=8", "data.num_classes=3", "data.crop_padding=1", "batch_size=8",
    "trainer=cpu", "search_space.channels=4", "search_space.cells_per_stage=1", "epochs=4",
    "relaxation=dirichlet", "formulation=mixed_level",
)  # fmt: skip


def start(*arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "search.py"), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    _, error = process.communicate(timeout=240)
    assert process.returncode == 0, error


def kill_when(process: subprocess.Popen, reached) -> None:
    """SIGKILL as soon as a condition holds."""
    limit = time.monotonic() + 200
    while not reached():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def result(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    checkpoint = torch.load(folder / "checkpoints" / "epoch_0004.ckpt", weights_only=True)
    return json.loads((folder / "genotype.json").read_text()), checkpoint


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, main, *ARGUMENTS, f"hydra.run.dir={folder}") == 0
    return folder


def assert_same(folder: Path, other: Path) -> None:
    (genotype, checkpoint), (expected, expected_checkpoint) = result(folder), result(other)
    assert genotype["architecture"] == expected["architecture"]
    for name, tensor in expected_checkpoint["state_dict"].items():
        assert torch.equal(checkpoint["state_dict"][name], tensor), name
    for mine, theirs in zip(checkpoint["optimizer_states"], expected_checkpoint["optimizer_states"], strict=True):
        for key, state in theirs["state"].items():
            for name, value in state.items():
                same = torch.equal(mine["state"][key][name], value) if isinstance(value, torch.Tensor) else True
                assert same, name
    rows, whole = [(path / "history.csv").read_text().splitlines() for path in (folder, other)]
    assert len(rows) == len(whole) == 5  # a header and one row an epoch
    assert [row.split(",")[0] for row in rows] == [row.split(",")[0] for row in whole]


def test_killed_in_the_middle_of_an_epoch(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    killed = start(*ARGUMENTS, f"hydra.run.dir={folder}")
    kill_when(killed, (folder / "checkpoints" / "epoch_0002.ckpt").exists)
    assert not (folder / "genotype.json").exists()
    finish(start(f"resume={folder}"))
    assert_same(folder, uninterrupted)


@pytest.mark.slow
def test_killed_before_the_first_epoch_ended_and_again_while_resuming(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    killed = start(*ARGUMENTS, f"hydra.run.dir={folder}")
    kill_when(killed, (folder / "config.yaml").exists)
    assert not list(folder.glob("checkpoints/*"))
    again = start(f"resume={folder}")
    kill_when(again, (folder / "checkpoints" / "epoch_0001.ckpt").exists)
    newest = sorted((folder / "checkpoints").glob("epoch_*.ckpt"))[-1]
    newest.with_name("epoch_0009.ckpt").write_bytes(newest.read_bytes()[:-100])  # torn, and it looks like the newest
    finish(start(f"resume={folder}"))
    (folder / "checkpoints" / "epoch_0009.ckpt").unlink()
    assert_same(folder, uninterrupted)
