"""A run that is asked to end within an epoch saves itself, and goes on bit for bit."""

import csv
import signal
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from supernet import search, train
from supernet.averages import Mean
from supernet.callbacks.checkpoint import newest_checkpoint
from supernet.callbacks.interim import own, take_over
from tests.commands import TINY, run
from tests.contracts.test_experiments import SMALL
from tests.supernet.data.test_image_folder import fill

ASK = "+callbacks.fault={_target_: tests.supernet.strategies.faults.Fault, rank: 0, how: ask, epoch: %d, batch: %d}"
EXPERIMENT = ("debug=tiny", "trainer=cpu", "logger=none", "trainer.limit_train_batches=4", "epochs=4")
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
ROBUST = "callbacks.eigenvalue={adaptive: true, window: 1, delta: 1, earliest: 0, threshold: 0.5}"
SEARCHES = {
    "bilevel": (*EXPERIMENT, "search_space.channels=4", "search_space.cells_per_stage=1"),
    "stages": (*EXPERIMENT, "experiment=drnas_progressive"),
    "deeper": (*EXPERIMENT, "experiment=pdarts", *SMALL["pdarts"]),
    "seldom": (
        *EXPERIMENT,
        "search_space.channels=4",
        "search_space.cells_per_stage=1",
        "weight_steps=4",
        "trainer.precision=bf16-mixed",
        "arch_precision=bf16-mixed",
    ),
    "sampled": (*EXPERIMENT, "experiment=gdas", "search_space.channels=4", "weight_steps=2"),
}


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in ("seconds", "time/step")} for row in rows]


def same(one, other, path="") -> None:
    """Raise where two checkpoints differ, but for what depends on the clock."""
    if isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            if key not in ("seconds", "time/step", "_start_time", "Timer"):
                same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{path}/{number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other or one != one, path


def interrupted(monkeypatch, main, folder, epoch, batch, *settings) -> Path:
    """A run that was asked to end after this batch, as it is when it has gone on to its end."""
    assert run(monkeypatch, main, *settings, ASK % (epoch, batch), f"hydra.run.dir={folder}") == 128 + signal.SIGTERM
    assert newest_checkpoint(folder / "checkpoints").name == f"within_{epoch + 1:04d}.ckpt"
    assert resumed(monkeypatch, main, folder) == 0
    assert not (folder / "checkpoints" / f"within_{epoch + 1:04d}.ckpt").exists()
    return folder


def resumed(monkeypatch, main, folder) -> int:
    config = OmegaConf.load(folder / "config.yaml")
    del config.callbacks.fault  # resume= calls no code that only a saved configuration names
    OmegaConf.save(config, folder / "config.yaml")
    return run(monkeypatch, main, f"resume={folder}")


def compare(folder: Path, whole: Path) -> None:
    assert history(folder) == history(whole)
    names = [path.name for path in sorted((whole / "checkpoints").iterdir())]
    last, expected = (torch.load(f / "checkpoints" / names[-1], weights_only=True) for f in (folder, whole))
    same(last["state_dict"], expected["state_dict"])
    same(last["optimizer_states"], expected["optimizer_states"])
    same(last["loops"], expected["loops"])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "deeper" else name for name in SEARCHES]
)
def test_a_search_goes_on_within_an_epoch(name, monkeypatch, tmp_path, capfd):
    whole = tmp_path / "whole"
    assert run(monkeypatch, search.main, *SEARCHES[name], f"hydra.run.dir={whole}") == 0
    folder = interrupted(monkeypatch, search.main, tmp_path / "run", 2, 1, *SEARCHES[name])
    assert f"asked to end by SIGTERM; what was done is saved, go on with resume={folder}" in capfd.readouterr().out
    compare(folder, whole)


def test_a_training_with_random_paths_and_two_heads_goes_on_within_an_epoch(monkeypatch, tmp_path):
    settings = (
        *EXPERIMENT, "genotype=darts_v2", "search_space.channels=4", "search_space.layers=3", "drop_path=0.5",
        "auxiliary_weight=0.4", "search_space.auxiliary=true", "trainer.precision=64-true",
    )  # fmt: skip
    settings = tuple(one for one in settings if one != "debug=tiny")
    settings = (*settings, "data=synthetic", "data.size=32", "data.num_images=24", "batch_size=6", "epochs=2")
    assert run(monkeypatch, train.main, *settings, f"hydra.run.dir={tmp_path}/whole") == 0
    compare(interrupted(monkeypatch, train.main, tmp_path / "run", 1, 1, *settings), tmp_path / "whole")


def test_files_that_are_decoded_in_every_pass_are_the_same_after_it(monkeypatch, tmp_path):
    fill(tmp_path / "images" / "train", 14, (8, 8))
    fill(tmp_path / "images" / "test", 2, (8, 8))
    settings = (
        *(one for one in TINY if not one.startswith("data")), "data=image_folder", f"data.root={tmp_path}/images",
        "data.random_area=[0.5,1.0]", "data.memory_limit=1", "data.num_workers=2", "data.crop_padding=1",
        "batch_size=4", "logger=none",
    )  # fmt: skip
    assert run(monkeypatch, search.main, *settings, f"hydra.run.dir={tmp_path}/whole") == 0
    compare(interrupted(monkeypatch, search.main, tmp_path / "run", 1, 2, *settings), tmp_path / "whole")


def test_a_checkpoint_is_written_every_so_many_minutes_and_goes_when_its_epoch_has_ended(monkeypatch, tmp_path):
    fault = (ASK % (1, 3)).replace("ask", "raise")
    with pytest.raises(ArithmeticError):
        run(monkeypatch, search.main, *TINY, "logger=none", "checkpoint_minutes=0", fault, f"hydra.run.dir={tmp_path}")
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [
        "epoch_0001.ckpt",
        "within_0002.ckpt",
    ]


def test_asked_to_end_after_the_last_batch_a_run_finishes_its_epoch(monkeypatch, tmp_path):
    settings = (*TINY, "logger=none", "trainer.limit_train_batches=2", f"hydra.run.dir={tmp_path}")
    assert run(monkeypatch, search.main, *settings, ASK % (0, 1)) == 128 + signal.SIGTERM
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch_0001.ckpt"]


def test_asked_to_end_in_the_last_epoch_a_run_ends_before_a_choice_that_takes_long(monkeypatch, tmp_path):
    settings = (*TINY, "logger=none", "trainer.limit_train_batches=2", "epochs=1")
    assert run(monkeypatch, search.main, *settings, ASK % (0, 1), f"hydra.run.dir={tmp_path}/one") == 0
    choice = ("selection=sample", "selection.n_archs=2", "selection.estimator.batch_size=8")
    place = tmp_path / "two"
    asked = (*settings, *choice, ASK % (0, 1), f"hydra.run.dir={place}")
    assert run(monkeypatch, search.main, *asked) == 128 + signal.SIGTERM
    assert [path.name for path in (place / "checkpoints").iterdir()] == ["epoch_0001.ckpt"]
    assert not (place / "scores.csv").exists()
    assert resumed(monkeypatch, search.main, place) == 0
    assert (place / "scores.csv").exists()
    assert len(history(place)) == 1


def test_another_number_of_processes_takes_mean_and_sum():
    module = torch.nn.ModuleDict({"norm": torch.nn.BatchNorm1d(2), "loss": Mean()})
    saved = []
    for number in range(2):
        module["norm"].running_mean.fill_(number)
        module["loss"].update(torch.tensor(3.0 + number))
        saved.append(own(module))
        module["loss"].reset()
    take_over(module, saved)
    assert module["norm"].running_mean.tolist() == [0.5, 0.5]
    assert (module["loss"].total, module["loss"].steps) == (7.0, 2.0)
