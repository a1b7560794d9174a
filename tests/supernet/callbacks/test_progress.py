from types import SimpleNamespace

import pytorch_lightning as pl
import torch

from supernet.callbacks.progress import Progress
from tests.supernet.searches import module, random_batches, steps


def test_the_device_is_read_only_now_and_then(monkeypatch):
    reads = []

    def read(*_):
        reads.append(1)
        return {"step/loss_weights": 0.5, "accuracy/supernet": 0.25, "v_num": 0}

    monkeypatch.setattr(pl.callbacks.RichProgressBar, "get_metrics", read)
    bar, trainer = Progress(seconds=60), SimpleNamespace(training=True)
    shown = [bar.get_metrics(trainer, None) for _ in range(100)]
    assert len(reads) == 1
    assert shown[-1] == {"loss_weights": 0.5, "acc/supernet": 0.25}
    trainer.training = False  # the end of an epoch is always read
    bar.get_metrics(trainer, None)
    assert len(reads) == 2


def test_the_losses_of_the_newest_step_are_shown_beside_what_is_logged(monkeypatch):
    monkeypatch.setattr(pl.callbacks.RichProgressBar, "get_metrics", lambda *_: {"accuracy/alphas": 0.5})
    search = module()
    steps(search.float(), random_batches(1, torch.float32))
    shown = Progress().get_metrics(SimpleNamespace(training=True), search)
    assert list(shown) == ["loss_alphas", "loss_weights", "acc/alphas", "genotype"]
    assert shown["loss_weights"] == float(search.measures.newest["step/loss_weights"]) > 0
