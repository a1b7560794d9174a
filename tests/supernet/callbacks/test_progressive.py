from types import SimpleNamespace

import pytest
import torch

from supernet.callbacks.progressive import Progressive, strongest
from supernet.errors import UserError
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.uniform import Uniform
from tests.supernet.searches import SPACE, TWO_CELLS, assert_resumes_exactly, fit, module


def test_the_strongest_of_what_is_still_there_stay():
    weights = {"cell": torch.tensor([[0.1, 0.5, 0.4, 0.0], [0.7, 0.1, 0.1, 0.1]])}
    allowed = {"cell": torch.tensor([[True, True, True, True], [False, True, True, False]])}
    space = SimpleNamespace(allowed=allowed, candidates=lambda cell: allowed[cell])
    kept = strongest(space, weights, 2)["cell"]
    assert kept.tolist() == [[False, True, True, False], [False, True, True, False]]
    assert strongest(space, weights, 1)["cell"].sum(dim=1).tolist() == [1, 1]


def test_an_edge_keeps_an_operation_that_an_architecture_may_have():
    allowed = {"cell": torch.tensor([[True, True, True]])}
    candidates = torch.tensor([[False, True, True]])  # as with `none` in DARTS's space
    space = SimpleNamespace(allowed=allowed, candidates=lambda cell: candidates)
    weights = {"cell": torch.tensor([[0.6, 0.1, 0.3]])}
    assert strongest(space, weights, 1)["cell"].tolist() == [[True, False, True]]
    assert strongest(space, weights, 2)["cell"].tolist() == [[True, False, True]]


@pytest.mark.parametrize(("stages", "message"), [
    ([{"at": 0.4, "keep": 3}, {"at": 0.45, "keep": 2}], "begin with epochs"),
    ([{"at": 0.05, "keep": 3}], "begin with epochs"),
    ([{"at": 0.5, "keep": 3, "partial_channels": 3}], "a stage cannot be built: partial_channels=3 does not divide"),
])  # fmt: skip
def test_stages_that_cannot_work_are_refused_before_any_step(stages, message):
    search = module(Dirichlet(), partial_channels=4)
    with pytest.raises(UserError, match=message):
        fit(search, epochs=4, callbacks=[Progressive(stages)])
    assert search.global_step == 0


def test_a_stage_prunes_widens_and_warms_up_again():
    search = module(Dirichlet(), space=TWO_CELLS, partial_channels=4, warmup_epochs=1)
    alphas = []
    step = search._step_alphas
    search._step_alphas = lambda *arguments: (alphas.append(search.current_epoch), step(*arguments))
    fit(search, epochs=4, callbacks=[Progressive([{"at": 0.5, "keep": 3, "partial_channels": 2}])])
    assert search.partial_channels == 2
    for cell, table in search.space.allowed.items():
        assert table.sum(dim=1).tolist() == [3] * 14
        mean = search.alphas.mean().weights[cell]
        torch.testing.assert_close(mean.sum(dim=1), torch.ones(14))
        assert mean[~table].abs().sum() == 0
        assert search.alphas[cell][~table].abs().sum() == 0
    assert set(alphas) == {1, 3}  # epochs 0 and 2 warm up


def test_what_is_found_was_never_ruled_out():
    search = module(Dirichlet())
    fit(search, epochs=3, callbacks=[Progressive([{"at": 0.34, "keep": 2}, {"at": 0.67, "keep": 1}])])
    assert search.space.size() == 1
    assert search.genotype() == next(search.space.enumerate())


@pytest.mark.parametrize("space", [SPACE, TWO_CELLS])
def test_stages_survive_a_resume(space, tmp_path):
    search = assert_resumes_exactly(
        lambda: module(Dirichlet(), space=space, partial_channels=4, warmup_epochs=1),
        lambda: [Progressive([{"at": 0.5, "keep": 3, "partial_channels": 2}], rescale=True)],
        tmp_path,
        epochs=4,
    )
    assert search.stage_start == 2


@pytest.mark.parametrize(("stages", "message"), [
    ([{"at": 0.5}], "a stage has"), ([{"at": 1.5, "keep": 2}], "between"), ([{"at": 0.5, "keep": 0}], "at least one"),
    ([{"at": 0.5, "keep": 2}, {"at": 0.2, "keep": 1}], "between"), ([{"at": 0.5, "keep": 2, "k": 1}], "a stage has"),
])  # fmt: skip
def test_stages_that_make_no_sense_are_refused(stages, message):
    with pytest.raises(ValueError, match=message):
        Progressive(stages)


def test_what_cannot_work_is_refused_before_any_step():
    with pytest.raises(UserError, match="no alphas"):
        fit(module(Uniform()), callbacks=[Progressive([{"at": 0.5, "keep": 2}])])
    with pytest.raises(UserError, match="more channels"):
        fit(module(partial_channels=2), callbacks=[Progressive([{"at": 0.5, "keep": 2, "partial_channels": 4}])])
