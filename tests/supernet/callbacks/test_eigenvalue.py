import functools
import inspect

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from supernet.callbacks.curvature import curvature
from supernet.callbacks.eigenvalue import EigenvalueStop
from supernet.callbacks.progressive import Progressive
from supernet.errors import UserError
from supernet.relaxations.dirichlet import Dirichlet
from tests.contracts.configurations import CONF
from tests.supernet.searches import SPACE, TWO_CELLS, assert_resumes_exactly, fit, images, module

AT_ONCE = {"window": 1, "delta": 1, "threshold": 1e-9, "earliest": 0, "tolerance": 1.0}
"""Any positive value is a rise; and a rough one will do."""

every_space = pytest.mark.parametrize("space", [SPACE, pytest.param(TWO_CELLS, marks=pytest.mark.slow)])


class Genotypes(pl.Callback):
    """The architecture and the eigenvalue of every epoch, and the alphas that it begins and ends with."""

    def __init__(self):
        self.found, self.values, self.begins, self.ends = [], [], [], []

    def on_train_epoch_start(self, trainer, pl_module):
        self.begins.append(pl_module.alphas.alpha[next(iter(pl_module.alphas.alpha))].detach().clone())

    def on_train_epoch_end(self, trainer, pl_module):
        self.found.append(pl_module.genotype())
        self.values.append(float(trainer.callback_metrics.get("hessian/eigenvalue", float("nan"))))
        self.ends.append(pl_module.alphas.alpha[next(iter(pl_module.alphas.alpha))].detach().clone())


def test_the_configuration_has_the_numbers_of_the_published_code():
    content = OmegaConf.to_container(OmegaConf.load(CONF / "callbacks" / "eigenvalue.yaml"))["eigenvalue"]
    assert content.pop("_target_").endswith("EigenvalueStop")
    assert content == {name: p.default for name, p in inspect.signature(EigenvalueStop).parameters.items()}


def test_the_eigenvalue_is_that_of_the_first_validation_batches():
    search = module()
    trainer = fit(search, callbacks=[EigenvalueStop(batches=2)])
    batches = list(images().batches("valid", shuffle=True))[:2]
    expected = curvature(search.train(), batches)
    assert float(trainer.callback_metrics["hessian/eigenvalue"]) == pytest.approx(expected, rel=1e-6)
    assert expected > 0


@pytest.mark.parametrize("relaxation", [None, Dirichlet()])
def test_measuring_changes_nothing_in_the_search(relaxation):
    plain, measured = module(relaxation), module(relaxation)
    fit(plain, epochs=3)
    fit(measured, epochs=3, callbacks=[EigenvalueStop(threshold=None)])
    assert measured.found is None
    for name, tensor in plain.state_dict().items():
        assert torch.equal(measured.state_dict()[name], tensor), name


def test_the_search_ends_with_the_architecture_from_before_the_rise():
    search, seen = module(), Genotypes()
    trainer = fit(search, epochs=8, callbacks=[EigenvalueStop(**{**AT_ONCE, "earliest": 2}), seen])
    assert trainer.current_epoch == 4  # epoch 3 was compared with epoch 2
    assert search.found == seen.found[2]
    assert len(set(seen.found)) > 1


def test_evaluations_may_be_rare():
    search, seen = module(), Genotypes()
    callback = EigenvalueStop(every=2, **AT_ONCE)
    assert fit(search, epochs=8, callbacks=[callback, seen]).current_epoch == 3
    assert callback.epochs == [0, 2]
    assert search.found == seen.found[0]


def test_a_new_stage_begins_a_new_series():
    search, callback = module(warmup_epochs=1), EigenvalueStop(threshold=None)
    fit(search, epochs=6, callbacks=[Progressive([{"at": 0.5, "keep": 3}]), callback])
    assert callback.epochs == [4, 5]  # epoch 3 begins a stage with a warm-up


@every_space
def test_an_end_survives_a_resume(space, tmp_path):
    arguments = {**AT_ONCE, "window": 3, "earliest": 1}
    search = assert_resumes_exactly(
        lambda: module(space=space), lambda: [EigenvalueStop(**arguments)], tmp_path, epochs=6
    )
    assert search.found is not None
    assert len(list(tmp_path.iterdir())) == 4  # epochs 0 to 3: the mean of 1 to 3 against that of 0 to 2


# ------------------------------------------------------------------------------------------------------- adaptive

ADAPTIVE = {**AT_ONCE, "adaptive": True, "factor": 10.0, "largest": 0.03}


def test_a_rise_leads_back_to_the_epoch_before_with_more_weight_decay():
    search, seen = module(), Genotypes()
    callback = EigenvalueStop(**ADAPTIVE)
    trainer = fit(search, epochs=4, callbacks=[callback, seen])
    assert trainer.current_epoch == 6
    assert search.found is None
    assert torch.equal(seen.begins[2], seen.ends[0])  # epoch 1 is undone
    assert torch.equal(seen.begins[3], seen.ends[0])  # and once more
    assert all(torch.equal(seen.begins[n], seen.ends[n - 1]) for n in (1, 4, 5))
    assert callback.epochs == [0, 3, 4, 5]
    assert sorted(callback.rollback.state["snapshots"]) == [1, 2]  # what may be needed, and no more
    group = trainer.optimizers[0].param_groups[0]
    assert group["weight_decay"] == pytest.approx(0.03)
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 4  # as many epochs as were asked for


def test_with_more_weight_decay_another_search_follows():
    search, seen = module(), Genotypes()
    fit(search, epochs=3, callbacks=[EigenvalueStop(**{**ADAPTIVE, "largest": 0.003}), seen])
    assert torch.equal(seen.begins[2], seen.begins[1])
    assert not torch.equal(seen.ends[2], seen.ends[1])


@every_space
def test_going_back_survives_a_resume(space, tmp_path):
    search = assert_resumes_exactly(
        lambda: module(space=space), lambda: [EigenvalueStop(**ADAPTIVE)], tmp_path, epochs=3
    )
    assert search.found is None
    assert len(list(tmp_path.iterdir())) == 3 + 2  # twice an epoch that is trained again


def test_what_cannot_be_gone_back_in_is_refused():
    with pytest.raises(UserError, match="Progressive"):
        fit(module(), epochs=2, callbacks=[Progressive([{"at": 0.5, "keep": 3}]), EigenvalueStop(adaptive=True)])
    free = functools.partial(torch.optim.SGD, lr=0.05)
    with pytest.raises(UserError, match="weight decay"):
        fit(module(weight_optimizer=free), callbacks=[EigenvalueStop(adaptive=True)])


@pytest.mark.parametrize("arguments", [
    {"every": 0}, {"batches": 0}, {"tolerance": -1.0}, {"earliest": -1}, {"window": 2},
    {"threshold": None, "adaptive": True}, {"factor": 0.5, "adaptive": True},
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        EigenvalueStop(**arguments)
