import functools

import pytest
import pytorch_lightning as pl
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.data.modules import TrainData
from supernet.data.synthetic import Synthetic
from supernet.modules.train import TrainModule

SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=3, num_classes=3)


def test_a_network_learns_and_its_test_accuracy_is_that_of_the_test_set():
    images = Synthetic(num_classes=3, size=8, num_images=96, batch_size=16)
    module = TrainModule(
        SPACE.network(SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")),
        functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=4),
        num_classes=3,
    )
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=4, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, TrainData(images))
    module.eval()
    with torch.no_grad():
        right = sum(int((module.network(x).argmax(1) == y).sum()) for x, y in images.batches("test"))
    accuracy = float(trainer.callback_metrics["accuracy/test"])
    assert accuracy == pytest.approx(right / len(images.labels("test")))
    assert accuracy > 0.6
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
