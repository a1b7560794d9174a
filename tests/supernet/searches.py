"""Small searches inside the test process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.data.modules import SearchData
from supernet.data.synthetic import Synthetic
from supernet.formulations.first_order import FirstOrder
from supernet.modules.search import SearchModule
from supernet.relaxations.softmax import Softmax

SGD = functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=3e-4)
ADAM = functools.partial(torch.optim.Adam, lr=0.01, betas=(0.5, 0.999), weight_decay=None)
COSINE = functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=2, eta_min=0.001)
SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=3, num_classes=3)
TWO_CELLS = DARTS(channels=4, layers=3, in_channels=3, num_classes=3)


def module(relaxation=None, formulation=None, space=SPACE, **arguments) -> SearchModule:
    options = {"weight_optimizer": SGD, "arch_optimizer": ADAM, "scheduler": COSINE} | arguments
    return SearchModule(space, relaxation or Softmax(), formulation or FirstOrder(), **options)


def images(**arguments) -> Synthetic:
    return Synthetic(**({"num_classes": 3, "size": 8, "num_images": 48, "batch_size": 8} | arguments))


def fit(search: SearchModule, epochs: int = 1, data: dict | None = None, **arguments) -> pl.Trainer:
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        max_epochs=epochs, enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
        **options | arguments,
    )  # fmt: skip
    trainer.fit(search, SearchData(images(**(data or {}))))
    return trainer


def steps(search: SearchModule, batches: list[dict]) -> tuple[torch.optim.Optimizer, ...]:
    """Training steps without a trainer."""
    optimizers = search.configure_optimizers()[0]
    search.optimizers = lambda: optimizers
    search.log = lambda *_, **__: None
    for index, batch in enumerate(batches):
        search.training_step(batch, index)
    return optimizers


def random_batches(count: int, dtype=torch.float64, size: int = 8) -> list[dict]:
    def draw():
        return torch.randn(6, 3, size, size, dtype=dtype), torch.randint(3, (6,))

    return [{"train": draw(), "valid": draw()} for _ in range(count)]


class KeepAll(pl.callbacks.Checkpoint):
    """A checkpoint of every epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch + 1}.ckpt")


def assert_resumes_exactly(
    make: Callable[[], SearchModule], callbacks: Callable[[], list[pl.Callback]], folder: Path, epochs: int
) -> SearchModule:
    """Resumed after any epoch, a search ends like the uninterrupted one, which is returned."""

    def run(checkpoint: Path | None, keep: list[pl.Callback]) -> SearchModule:
        search = make()
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0, use_distributed_sampler=False, callbacks=[*callbacks(), *keep],
            enable_checkpointing=bool(keep),
        )  # fmt: skip
        trainer.fit(search, SearchData(images(num_images=32)), ckpt_path=checkpoint, weights_only=True)
        return search

    whole = run(None, [KeepAll(folder)])
    expected = whole.state_dict()
    for checkpoint in sorted(folder.glob("*.ckpt")):
        search = run(checkpoint, [])
        found = search.state_dict()
        assert found.keys() == expected.keys(), checkpoint
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items()), checkpoint
        assert (search.found or search.genotype()) == (whole.found or whole.genotype()), checkpoint
    return whole
