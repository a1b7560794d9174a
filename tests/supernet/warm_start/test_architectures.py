import math

import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from supernet.warm_start.architectures import Frequencies, Pool, Sample, log_frequencies
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted

BEST = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def test_the_best_share_of_different_valid_architectures_is_kept_the_best_first():
    best, effort = Sample(Planted, 80, 0.25, 4, 1).best(task())
    assert len(best) == len(set(best)) == 20
    assert effort.networks == 80
    scores = Planted(task()).score(best)
    assert (scores.diff() <= 0).all()
    everything, _ = Sample(Planted, 80, 1.0, 4, 1).best(task())
    assert everything[:20] == best
    assert all(map(SMALL.is_valid, everything))


def test_a_space_with_fewer_architectures_gives_all_it_has():
    allowed = torch.zeros_like(SMALL.allowed["cell"])
    allowed[:, 3] = allowed[0, 1] = allowed[4, 2] = True
    best, effort = Sample(Planted, 50, 1.0, 4, 1).best(task(SMALL.restrict({"cell": allowed})))
    assert len(best) == effort.networks == 4


def test_frequencies_are_smoothed_counts():
    one = SMALL.parse(BEST)
    two = one.replace("cell", 0, 1)
    found = log_frequencies(SMALL, [one, one, two], smoothing=0.5)["cell"].exp() / 5
    torch.testing.assert_close(found.sum(dim=1), torch.ones(6, dtype=torch.float64))
    assert found[0].tolist() == pytest.approx([0.5 / 5.5, 1.5 / 5.5, 0.5 / 5.5, 2.5 / 5.5, 0.5 / 5.5])


def test_an_edge_counts_where_it_is_kept():
    space = DARTS(channels=4, layers=3)
    sep, skip = space.operations["normal"].index("sep_conv_3x3"), space.operations["normal"].index("skip_connect")
    row = [sep, skip, -1, sep, sep, -1, -1, sep, sep, -1, -1, -1, sep, sep]
    architectures = [Architecture.of({"normal": row, "reduce": row})] * 3
    table = log_frequencies(space, architectures)["normal"]
    assert table[:, 0].isnan().all()  # none is never chosen
    assert table[2, 1:].abs().sum() == 0  # never kept: nothing is known
    assert table[0, sep].exp() / 7 == pytest.approx((3 + 1) / (3 + 7))
    assert table[0, skip].exp() / 7 == pytest.approx(1 / (3 + 7))


def test_alphas_start_at_a_power_of_the_frequencies_and_nothing_is_dropped():
    warm = Frequencies(Planted, n_archs=60, keep=0.2, channels=4)
    outcome = warm(task())
    assert warm.moves_alphas
    assert torch.equal(outcome.space.allowed["cell"], SMALL.allowed["cell"])
    frequencies = outcome.scores["cell"].exp() / 5
    mixture = outcome.start["cell"].softmax(dim=1)
    roots = frequencies.sqrt()
    torch.testing.assert_close(mixture, roots / roots.sum(dim=1, keepdim=True))
    torch.testing.assert_close(outcome.start["cell"].sum(dim=1), torch.zeros(6, dtype=torch.float64))


def test_frequencies_may_also_drop():
    outcome = Frequencies(Planted, n_archs=60, keep=0.2, channels=4, drop=1 / 3, kappa=0.0)(task())
    assert int((~outcome.space.allowed["cell"]).sum()) == 10
    assert outcome.start is None
    gone = outcome.scores["cell"][~outcome.space.allowed["cell"]]
    assert gone.max() <= 0


def test_a_pool_is_what_is_left_and_the_supernet_has_what_it_needs():
    outcome = Pool(Planted, n_archs=60, keep=0.1, channels=4)(task())
    best, _ = Sample(Planted, 60, 0.1, 4, 1).best(task())
    assert outcome.space.pool == tuple(best)
    used = torch.stack([one.one_hot(SMALL.operations)["cell"] for one in best]).sum(dim=0) > 0
    assert torch.equal(outcome.space.allowed["cell"], used)
    assert Pool.leaves_pool
    assert outcome.scores is outcome.start is None


def test_a_pool_of_a_space_that_keeps_some_edges_leaves_every_edge_something():
    space = DARTS(channels=4, layers=3, none=False)
    outcome = Pool(Planted, n_archs=4, keep=0.25, channels=4)(task(space))
    assert len(outcome.space.pool) == 1
    assert outcome.space.contains(outcome.space.pool[0])
    assert outcome.space.size() == 1
    assert all(table.any(dim=1).all() for table in outcome.space.allowed.values())


@pytest.mark.parametrize(
    "arguments", [{"n_archs": 1}, {"keep": 0.0}, {"keep": 1.1}, {"workers": 0}, {"smoothing": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Frequencies(Planted, **arguments)


def test_logarithms_are_finite_for_what_never_occurs():
    assert math.isfinite(float(log_frequencies(SMALL, [SMALL.parse(BEST)])["cell"].min()))
