from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from supernet.callbacks.rollback import Rollback, restore, take
from tests.supernet.searches import fit, module


class Twice(pl.Callback):
    """Takes the state after the first epoch, and goes back to it once, after the second one."""

    def __init__(self):
        self.snapshot = None
        self.seen = []

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            self.snapshot = take(trainer, pl_module)
        if trainer.current_epoch == 2:
            restore(trainer, pl_module, self.snapshot)
        self.seen.append(take(trainer, pl_module))


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_everything_that_training_changes_is_as_it_was():
    callback = Twice()
    fit(module(), epochs=4, callbacks=[callback])
    start, first, again, later = callback.seen
    assert_equal(again, first)
    assert first["optimizers"][0]["state"]
    assert first["optimizers"][1]["state"]
    for parts in (start, later):
        assert not torch.equal(parts["module"]["network.stem.0.weight"], first["module"]["network.stem.0.weight"])
        assert not torch.equal(parts["module"]["alphas.alpha.cell"], first["module"]["alphas.alpha.cell"])
        assert parts["schedulers"] != first["schedulers"]


def test_training_on_does_not_change_the_snapshot():
    """The optimizer updates its momentum in place."""
    callback = Twice()
    fit(module(), epochs=4, callbacks=[callback])
    assert_equal(callback.snapshot, callback.seen[1])


def test_the_weight_decay_must_be_multiplied_by_more_than_one():
    with pytest.raises(ValueError, match="factor"):
        Rollback(1.0, 0.1, 3)


def test_it_is_gone_back_as_long_as_there_is_a_larger_weight_decay_and_never_further_than_the_last_time():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1, weight_decay=3e-4)
    trainer = SimpleNamespace(optimizers=[optimizer], max_epochs=50, fit_loop=SimpleNamespace(max_epochs=50))
    rollback = Rollback(factor=3.0, largest=243e-4, keep=7)
    for _ in range(4):  # 9e-4, 27e-4, 81e-4, 243e-4
        rollback.plan(trainer, 12, epochs=6)
        assert rollback.state["target"] == 12
        assert trainer.fit_loop.max_epochs == 56
        rollback.state["target"] = None
        optimizer.param_groups[0]["weight_decay"] *= 3
    assert rollback.state["extra"] == 24
    rollback.plan(trainer, 12, epochs=6)
    assert rollback.state["target"] is None
    optimizer.param_groups[0]["weight_decay"] = 3e-4
    rollback.state["floor"] = 13
    rollback.plan(trainer, 12, epochs=6)
    assert rollback.state["target"] is None
    assert rollback.state["extra"] == 24
