import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn

from supernet.data.images import Images
from supernet.data.modules import SearchData, TrainData
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError

EPOCHS = 4
BATCHES = 3  # an epoch
Record = dict[tuple[str, int, int], list[Tensor]]


def images(**options: Any) -> Images:
    given = {"num_classes": 3, "size": 6, "num_images": 30, "num_test_images": 10, "batch_size": 4}
    return Synthetic(**given | {"crop_padding": 1, "flip": True, "cutout": 2} | options)


class Recorder(pl.LightningModule):
    """Trains one number and keeps every batch, by stage, epoch and position."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.record: Record = {}

    def keep(self, stage: str, batch: Any, number: int) -> None:
        if not self.trainer.sanity_checking:
            batches = batch.values() if isinstance(batch, dict) else [batch]
            self.record[stage, self.current_epoch, number] = [tensor for pair in batches for tensor in pair]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.keep("train", batch, batch_idx)
        return self.weight**2

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.keep("valid", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.keep("test", batch, batch_idx)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=bool(callbacks),
        use_distributed_sampler=False,
        **quiet | {"max_epochs": EPOCHS} | options,
    )


def fitted(folder: Path, data: pl.LightningDataModule, *callbacks: pl.Callback, **options: Any) -> Record:
    module = Recorder()
    ckpt_path = options.pop("ckpt_path", None)
    trainer(folder, *callbacks, **options).fit(module, data, ckpt_path=ckpt_path)
    return module.record


def assert_same(record: Record, other: Record) -> None:
    assert record.keys() == other.keys()
    for key, batch in record.items():
        for tensor, theirs in zip(batch, other[key], strict=True):
            assert torch.equal(tensor, theirs), key


class Interrupt(pl.Callback):
    """Ends the process, as it were, in the middle of an epoch."""

    def __init__(self, epoch: int, number: int) -> None:
        self.place = (epoch, number)

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.place:
            raise RuntimeError("interrupted")


def test_a_search_trains_on_pairs_from_both_halves_and_validates_on_all_of_the_second(tmp_path: Path) -> None:
    source = images()
    record = fitted(tmp_path, SearchData(source))
    assert {number for stage, _, number in record if stage == "train"} == set(range(BATCHES))
    for epoch in range(EPOCHS):
        for half, first in (("train", 0), ("valid", 2)):
            labels = torch.cat([record["train", epoch, number][first + 1] for number in range(BATCHES)])
            images_seen = torch.cat([record["train", epoch, number][first] for number in range(BATCHES)])
            ours = list(source.batches(half, epoch, shuffle=True, augment=True, drop_last=True))  # type: ignore[arg-type]
            assert torch.equal(images_seen, torch.cat([batch for batch, _ in ours]))
            assert torch.equal(labels, torch.cat([answers for _, answers in ours]))
        valid = torch.cat([record["valid", epoch, number][0] for number in range(4)])
        assert torch.equal(valid, torch.cat([batch for batch, _ in source.batches("valid", shuffle=True)]))
        assert len(valid) == 15


def test_epochs_differ(tmp_path: Path) -> None:
    record = fitted(tmp_path, SearchData(images()))
    firsts = [record["train", epoch, 0][half] for epoch in range(EPOCHS) for half in (0, 2)]
    assert not any(torch.equal(one, other) for n, one in enumerate(firsts) for other in firsts[:n])


@pytest.mark.parametrize("on_train_epoch_end", [True, False], ids=["after the epoch", "after its validation"])
@pytest.mark.parametrize("data", [SearchData, TrainData])
def test_a_run_that_was_resumed_after_an_epoch_sees_the_batches_of_one_that_was_not(
    tmp_path: Path, on_train_epoch_end: bool, data: Any
) -> None:
    whole = fitted(tmp_path, data(images()))
    saved = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=on_train_epoch_end)
    first = fitted(tmp_path, data(images()), saved, max_epochs=2)
    rest = fitted(tmp_path, data(images()), ckpt_path=tmp_path / "epoch=1.ckpt")
    assert {epoch for _, epoch, _ in first} == {0, 1}
    assert {epoch for _, epoch, _ in rest} == {2, 3}
    assert_same(whole, first | rest)


@pytest.mark.parametrize("data", [SearchData, TrainData])
def test_a_run_that_was_resumed_within_an_epoch_sees_the_batches_of_one_that_was_not(tmp_path: Path, data: Any) -> None:
    whole = fitted(tmp_path, data(images()))
    saved = ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, every_n_train_steps=1)
    length = max(number for stage, _, number in whole if stage == "train") + 1
    with pytest.raises(RuntimeError, match="interrupted"):
        fitted(tmp_path, data(images()), saved, Interrupt(1, 2))
    rest = fitted(tmp_path, data(images()), ckpt_path=tmp_path / f"step={length + 2}.ckpt")
    expected = {key: batch for key, batch in whole.items() if key[1] > 1 or (key[1] == 1 and key[2] >= 2)}
    expected |= {key: batch for key, batch in whole.items() if key[:2] == ("valid", 1)}
    assert_same(expected, rest)


def test_training_uses_the_whole_training_set_and_tests_on_the_test_set(tmp_path: Path) -> None:
    source = images(batch_size=10)
    module = Recorder()
    runner = trainer(tmp_path, max_epochs=1)
    runner.fit(module, TrainData(source))
    labels = torch.cat([module.record["train", 0, number][1] for number in range(3)])
    assert labels.bincount().tolist() == source.labels("all").bincount().tolist()
    runner.test(module, TrainData(source), verbose=False)
    expected, answers = next(source.batches("test"))
    for stage in ("valid", "test"):
        (key,) = (key for key in module.record if key[0] == stage)
        assert torch.equal(module.record[key][0], expected)
        assert torch.equal(module.record[key][1], answers)


def test_processes_that_decode_end_with_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, released = images(batch_size=10), []
    monkeypatch.setattr(source, "release", lambda: released.append(1))
    trainer(tmp_path, max_epochs=1).fit(Recorder(), TrainData(source))
    assert released == [1]


def test_a_batch_that_is_too_large_is_refused_before_the_trainer_starts() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size=16, .*'train'.* has 15 images"):
        SearchData(images(batch_size=16))
    with pytest.raises(UserError, match=r"data\.batch_size=31, .*the training set has 30 images"):
        TrainData(images(batch_size=31))


@pytest.mark.parametrize("data", [SearchData, TrainData])
def test_images_move_to_the_device_of_the_trainer(data: Any) -> None:
    module = data(images())
    module.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("meta")),
        current_epoch=0,
        global_rank=0,
        world_size=1,
        precision="32-true",
    )
    module.setup("fit")
    assert next(iter(module.val_dataloader()))[0].is_meta
