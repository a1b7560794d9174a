import functools
import math

import pytest
import pytorch_lightning as pl
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.callbacks.monitoring import ArchitectureMonitor
from supernet.data.modules import SearchData
from supernet.data.synthetic import Synthetic
from supernet.formulations.first_order import FirstOrder
from supernet.modules.search import SearchModule
from supernet.relaxations.softmax import Softmax
from tests.supernet.searches import fit, module


def search(tmp_path, monitor, alphas, epochs=1):
    module = SearchModule(
        NASBench201(channels=4, cells_per_stage=1, num_classes=3), Softmax(), FirstOrder(),
        functools.partial(torch.optim.SGD, lr=0.01), functools.partial(torch.optim.SGD, lr=0.0),
        functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=2),
    )  # fmt: skip
    module.alphas["cell"].data.copy_(alphas)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[monitor], enable_checkpointing=False, num_sanity_val_steps=0,
        logger=pl.loggers.TensorBoardLogger(str(tmp_path), name="", version="", default_hp_metric=False),
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, SearchData(Synthetic(num_classes=3, size=8, num_images=48, batch_size=8)))
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "tensors": 0}).Reload()
    return module, trainer.callback_metrics, events


def test_entropy_and_margin_are_those_of_the_mixing_weights(tmp_path):
    alphas = torch.zeros(6, 5)
    _, metrics, _ = search(tmp_path, ArchitectureMonitor(), alphas)
    assert float(metrics["alpha/cell/entropy"]) == pytest.approx(math.log(5), abs=1e-5)
    assert float(metrics["alpha/cell/margin"]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("batches", [1, 3])
def test_the_time_of_a_step_is_the_mean_of_all_of_an_epoch(batches, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("supernet.callbacks.monitoring.time.perf_counter", lambda: now[0])

    class Slow(pl.Callback):
        def on_train_batch_start(self, *_):
            now[0] += 2.0

    trainer = fit(module(), 2, limit_train_batches=batches, callbacks=[Slow(), ArchitectureMonitor()])
    assert float(trainer.callback_metrics["time/step"]) == pytest.approx(2.0)


def test_the_genotype_is_shown_when_it_changes_with_its_true_accuracy(tmp_path, caplog):
    alphas = torch.zeros(6, 5)
    alphas[:, 1] = 3.0  # skips everywhere
    monitor = ArchitectureMonitor(NASBench201Table())
    module, metrics, events = search(tmp_path, monitor, alphas, epochs=3)
    assert float(metrics["genotype/skip_share"]) == 1
    assert float(metrics["benchmark/cifar10-valid"]) == pytest.approx(39.98, abs=0.01)
    assert len(events.Images("genotype")) == 1  # drawn once
    assert len(events.Images("alpha/cell")) == 3  # every epoch
    assert "100 % of the edges are skips" in caplog.text
    restored = ArchitectureMonitor()
    restored.load_state_dict(monitor.state_dict())
    assert restored.last == module.genotype()
