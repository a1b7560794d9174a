import math

import pytest

from search_spaces.operations import Identity
from supernet.callbacks.stages import Stages
from supernet.errors import UserError
from tests.supernet.searches import SPACE, TWO_CELLS, assert_resumes_exactly, fit, module

DEEPER = [{"at": 0.5, "keep": 5, "space": {"layers": 4}, "skip_dropout": 0.4}]


def test_a_stage_is_a_deeper_supernet_with_fewer_operations_and_new_weights():
    search = module(space=TWO_CELLS)
    seen = []
    start = search.on_train_epoch_start
    search.on_train_epoch_start = lambda: (
        seen.append((len(search.network.cells), search.alphas["normal"].abs().max().item())),
        start(),
    )
    fit(search, epochs=2, callbacks=[Stages(DEEPER)])
    assert [cells for cells, _ in seen] == [3, 4]
    assert seen[1][1] < 1e-2  # the alphas of the first stage are forgotten; Adam moves them by 0.01 a step
    assert search.space.arguments["layers"] == 4
    assert all(table.sum(dim=1).tolist() == [5] * 14 for table in search.space.allowed.values())


def test_the_dropout_on_skips_fades_in_every_stage():
    callback = Stages(DEEPER, skip_dropout=0.2)
    search = module(space=TWO_CELLS, warmup_epochs=2)
    rates = [callback.rate(epoch, search, 10) for epoch in range(10)]
    first = [0.2 * 4 / 5, 0.2 * 3 / 5, 0.2, 0.2 * math.exp(-0.2), 0.2 * math.exp(-0.4)]
    assert rates == pytest.approx([*first, *(2 * rate for rate in first)])
    fit(search, epochs=6, callbacks=[callback])
    skips = [layer for layer in search.network.modules() if isinstance(layer, Identity)]
    assert skips
    assert {layer.dropout for layer in skips} == {callback.rate(5, search, 6)}


@pytest.mark.parametrize(("space", "deeper"), [(SPACE, {"cells_per_stage": 2}), (TWO_CELLS, {"layers": 4})])
def test_stages_survive_a_resume(space, deeper, tmp_path):
    stages = [{"at": 0.5, "keep": 3, "space": deeper, "skip_dropout": 0.5}]
    search = assert_resumes_exactly(
        lambda: module(space=space, warmup_epochs=1), lambda: [Stages(stages, 0.3)], tmp_path, epochs=4
    )
    assert search.stage_start == 2


def test_a_stage_that_is_all_warm_up_is_refused():
    with pytest.raises(UserError, match=r"a stage has 2 of them, and warmup_epochs=2 of each stage leave none"):
        fit(module(space=TWO_CELLS, warmup_epochs=2), epochs=4, callbacks=[Stages(DEEPER)])


def test_rates_that_are_no_probabilities_are_refused():
    with pytest.raises(ValueError, match="skip_dropout"):
        Stages(DEEPER, skip_dropout=1.0)
