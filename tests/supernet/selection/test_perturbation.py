import logging

import pytest
import torch

from supernet.selection.partial import PartialSupernet
from supernet.selection.perturbation import PerturbationSelection
from tests.supernet.searches import SPACE, TWO_CELLS, fit, images, module

ALLOWED = {cell: table.clone() for cell, table in TWO_CELLS.allowed.items()}
for table in ALLOWED.values():
    table[:, [1, 5, 6, 7]] = False  # fewer operations, to be quick
SMALL = TWO_CELLS.restrict(ALLOWED)


@pytest.mark.parametrize("space", [SPACE, SMALL], ids=["nasbench201", "darts"])
def test_after_an_epoch_of_search_an_architecture_is_found_the_same_every_time(space):
    search = module(space=space)
    fit(search)
    few, found = images(num_images=18), []
    for _ in range(2):
        torch.rand(3)  # what others draw does not matter
        found.append(PerturbationSelection(tune_epochs=1).select(search, few).architecture)
    assert found[0] == found[1]
    assert space.contains(found[0])
    assert space.is_valid(found[0])


def test_the_held_out_half_judges_and_the_training_half_tunes(monkeypatch):
    data, judged, tuned = images(), [], []
    measure, tune = PartialSupernet.accuracy, PartialSupernet.tune

    def accuracy(self, batches, *removed):
        judged.append(list(batches))
        return measure(self, judged[-1], *removed)

    def recorded(self, batches):
        tuned.append(list(batches))
        tune(self, tuned[-1])

    monkeypatch.setattr(PartialSupernet, "accuracy", accuracy)
    monkeypatch.setattr(PartialSupernet, "tune", recorded)
    PerturbationSelection(tune_epochs=2).select(module(), data)
    assert len(judged) == 6 * 5
    assert len(tuned) == 5 * 2
    whole = [*data.batches("valid", shuffle=True, drop_last=True)]
    for batches in judged:
        assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, whole, strict=True))
    assert not torch.equal(tuned[0][0][0], tuned[1][0][0])  # every epoch is shuffled anew
    for number, batches in enumerate(tuned):
        expected = [*data.batches("train", number, shuffle=True, augment=True, drop_last=True)]
        assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, expected, strict=True))


def test_fewer_batches_may_judge(monkeypatch):
    counts = []
    measure = PartialSupernet.accuracy

    def accuracy(self, batches, *removed):
        batches = list(batches)
        counts.append(len(batches))
        return measure(self, batches, *removed)

    monkeypatch.setattr(PartialSupernet, "accuracy", accuracy)
    PerturbationSelection(tune_epochs=0, batches=2).select(module(), images())
    assert set(counts) == {2}


def test_what_is_decided_is_told(caplog):
    with caplog.at_level(logging.INFO, "supernet"):
        PerturbationSelection(tune_epochs=0).select(module(space=SMALL), images(num_images=18))
    assert len(caplog.records) == 28 + 6


@pytest.mark.parametrize("settings", [{"tune_epochs": -1}, {"lr_scale": 0}, {"batches": 0}])
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        PerturbationSelection(**settings)
