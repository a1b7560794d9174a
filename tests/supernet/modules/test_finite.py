"""A gradient that is not finite ends a run with its batch named, or is left out as if the batch had not been there."""

import functools
import math

import pytest
import pytorch_lightning as pl
import torch

from supernet import search
from supernet.data.modules import TrainData
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError
from supernet.modules.finite import EVERY, Guard
from supernet.modules.train import TrainModule
from tests.commands import TINY, run
from tests.supernet.modules.test_train import SGD, SPACE, STEADY

CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")


class Poison(pl.Callback):
    """Makes the images of some batches infinite; or steps over them, which leaves nothing of them to see."""

    def __init__(self, *places: tuple[int, int]) -> None:
        self.places = places

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx) in self.places:
            images = batch["train"][0] if isinstance(batch, dict) else batch[0]
            images.fill_(math.inf)


def test_the_first_gradient_that_is_not_finite_is_named_though_norms_are_read_later(monkeypatch):
    guard = Guard()
    norms = [torch.tensor(1.0), torch.tensor(math.nan), torch.tensor(math.inf)]
    monkeypatch.setattr(torch.Tensor, "device", torch.device("cuda"))
    for number, norm in enumerate(norms):
        assert not guard.refuses("weights", norm, 2, number)
    monkeypatch.undo()
    with pytest.raises(UserError, match="epoch 3, batch 2: the gradient of the weights is not finite"):
        guard.check()
    assert len(norms) < EVERY
    guard.check()  # nothing is told twice


def test_so_many_are_left_out_and_no_more(caplog):
    guard = Guard(2)
    assert not guard.refuses("alphas", torch.tensor(3.0), 0, 0)
    assert guard.refuses("alphas", torch.tensor(math.nan), 0, 1)
    assert guard.refuses("weights", torch.tensor(math.inf), 0, 2)
    assert "batch 3: the gradient of the weights is not finite; it is left out (2 of at most 2)" in caplog.text
    with pytest.raises(UserError, match="the one after 2 that were left out"):
        guard.refuses("weights", torch.tensor(math.inf), 0, 3)


def fit(module: pl.LightningModule, data: pl.LightningDataModule, *places: tuple[int, int]) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False, callbacks=[Poison(*places)],
    )  # fmt: skip
    trainer.fit(module, data)
    return trainer


def trained(monkeypatch, skips: int, *places: tuple[int, int], without: int | None = None) -> TrainModule:
    torch.manual_seed(0)
    images = Synthetic(num_classes=3, size=8, num_images=96, batch_size=16)
    module = TrainModule(SPACE.network(CELL), SGD, STEADY, num_classes=3, max_skipped_steps=skips)
    data = TrainData(images)
    if without is not None:
        batches = data.all._batches
        monkeypatch.setattr(
            data.all, "_batches", lambda epoch, start: (b for n, b in enumerate(batches(epoch, start)) if n != without)
        )
        monkeypatch.setattr(data.all, "_length", functools.partial(int, len(data.all) - 1))
    trainer = fit(module, data, *places)
    module.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return module


def test_a_batch_that_is_left_out_of_a_training_leaves_no_trace(monkeypatch):
    left_out = trained(monkeypatch, 2, (0, 3), (1, 3))
    expected = trained(monkeypatch, 0, without=3)
    assert left_out.guard.skipped == 2
    assert left_out.metrics == expected.metrics
    for name, tensor in expected.network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(left_out.network.state_dict()[name], tensor), name


def test_a_training_ends_at_the_batch(monkeypatch):
    with pytest.raises(UserError, match="epoch 2, batch 1: the gradient of the weights"):
        trained(monkeypatch, 0, (1, 0))


FAULT = "+callbacks.poison={_target_: tests.supernet.modules.test_finite.Poison, _args_: [[0, 1]]}"


@pytest.mark.parametrize("formulation", ["first_order", "mixed_level", "implicit"])
def test_a_search_leaves_it_out_or_ends(formulation, monkeypatch, tmp_path, capfd):
    settings = (*TINY, "logger=none", f"formulation={formulation}", FAULT)
    if formulation == "implicit":
        settings = (*settings, "weight_steps=2")
    assert run(monkeypatch, search.main, *settings, "max_skipped_steps=1", f"hydra.run.dir={tmp_path}/one") == 0
    whose = (
        "alphas" if formulation == "mixed_level" else "weights"
    )  # where both move at once, these are looked at first
    assert f"epoch 1, batch 2: the gradient of the {whose} is not finite; it is left out" in capfd.readouterr().out
    assert "nan" not in (tmp_path / "one" / "history.csv").read_text()
    assert run(monkeypatch, search.main, *settings, f"hydra.run.dir={tmp_path}/two") == 1
    assert "leave such batches out with max_skipped_steps=<number>" in capfd.readouterr().err
