import functools
import itertools
import math
from typing import ClassVar

import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.costs.tables import counted
from supernet.errors import UserError
from supernet.estimators.base import Estimator, Measured
from supernet.estimators.constraint import Constraint
from supernet.estimators.cost import Cost
from supernet.shrinkage.diversity import mean_distance
from supernet.shrinkage.lissnas import LISSNAS, within
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted

TWO = DARTS(channels=4, layers=3)
SMALL_RUN = {"n_archs": 100, "smallest": 60, "diversity": 0.0, "kappa": 0.0, "workers": 1}


def at_most(parameters):
    return functools.partial(Constraint, cost=functools.partial(Cost, unit="parameters"), most=parameters)


class Asked(Planted):
    """Remembers what it was asked."""

    seen: ClassVar[list] = []

    def measurements(self, architecture):
        self.seen.append(architecture)
        return super().measurements(architecture)


class Table(Estimator):
    """The recorded validation accuracies after 12 epochs."""

    def __init__(self, task):
        values = NASBench201Table().accuracies("cifar10-valid", 12).tolist()
        self.values = dict(zip(benchmark_order(), values, strict=True))

    def score(self, architectures):
        return torch.tensor([self.values[one] for one in architectures], dtype=torch.float64)


def test_every_architecture_is_scored_once_and_counted():
    Asked.seen.clear()
    outcome = LISSNAS(Asked, **SMALL_RUN)(task())
    assert len(Asked.seen) == len(set(Asked.seen)) == outcome.effort.networks
    assert set(outcome.space.pool) <= set(Asked.seen)


def test_all_that_is_left_is_valid_best_first_and_far_better_than_the_space():
    outcome = LISSNAS(Planted, **SMALL_RUN)(task())
    pool, values = outcome.space.pool, torch.tensor(outcome.values)
    assert len(pool) == 60
    assert all(map(SMALL.is_valid, pool))
    assert torch.equal(values.float(), Planted(task()).score(pool).float())
    assert (values.diff() <= 0).all()
    every = Planted(task()).score([one for one in SMALL.enumerate() if SMALL.is_valid(one)]).sort().values
    assert float(values.mean()) > float(every[-600:].mean())  # the best 4 %


def test_the_first_round_is_what_the_rules_say():
    """By hand: seeds are the best tenth of what was drawn; a neighbour stays from the seeds' lower quartile on."""
    Asked.seen.clear()
    outcome = LISSNAS(Asked, rounds=1, **{**SMALL_RUN, "smallest": 1})(task())
    drawn, truth = Asked.seen[:100], Planted(task())
    scores = {one: float(truth.score([one])) for one in Asked.seen}
    seeds = sorted(drawn, key=scores.get, reverse=True)[:10]
    near = {other for seed in seeds for other in SMALL.neighbours(seed) if SMALL.is_valid(other)}
    assert set(Asked.seen) == set(drawn) | near
    ascending = sorted(scores[seed] for seed in seeds)
    quartile = ascending[2] + 0.25 * (ascending[3] - ascending[2])
    assert set(outcome.space.pool) == set(seeds) | {one for one in near if scores[one] >= quartile}
    assert outcome.rounds[0].size == 15_625
    assert outcome.rounds[0].mean == pytest.approx(sum(scores[one] for one in drawn) / 100)
    assert outcome.rounds[0].best == max(scores[one] for one in drawn)
    assert outcome.rounds[0].queries == 100


def test_rounds_go_on_while_the_mean_rises_and_get_smaller():
    rounds = LISSNAS(Table, n_archs=300, smallest=1, diversity=0.0, rise=0.0)(task()).rounds
    assert len(rounds) > 2
    assert all(after.mean > before.mean for before, after in itertools.pairwise(rounds))
    assert all(after.size < before.size for before, after in itertools.pairwise(rounds))


@pytest.mark.parametrize("seed", range(2))
def test_on_nas_bench_201_its_rounds_are_as_measured(seed):
    """500 drawn, a tenth seeds, lower quartile, one edit, judged by the validation accuracy after 200 epochs."""
    known = dict(zip(benchmark_order(), NASBench201Table().accuracies("cifar10-valid").tolist(), strict=True))
    expected = {
        1: (380, 480, 89.6, 90.1, 3.9, 4.3),
        2: (60, 100, 90.75, 90.95, 2.85, 3.15),
        3: (5, 10, 91.1, 91.3, 1.6, 2.2),
    }
    for rounds, (least, most, worst, best, near, far) in expected.items():
        settings = {"n_archs": 500, "smallest": 1, "diversity": 0.0, "rise": 0.0}
        space = LISSNAS(Table, rounds=rounds, **settings)(task(seed=seed)).space
        assert least <= len(space.pool) <= most
        assert worst < sum(known[one] for one in space.pool) / len(space.pool) < best
        assert near < mean_distance(space) < far


def test_the_last_round_is_filled_up_with_the_best_of_what_it_would_drop():
    Asked.seen.clear()
    outcome = LISSNAS(Asked, **{**SMALL_RUN, "smallest": 300, "rounds": 1})(task())
    scores = {one: float(Planted(task()).score([one])) for one in Asked.seen}
    assert len(outcome.space.pool) == 300
    assert set(outcome.space.pool) == set(sorted(scores, key=scores.get, reverse=True)[:300])


def test_the_pool_stays_as_diverse_as_asked():
    settings = {**SMALL_RUN, "smallest": 2, "rise": 0.0}
    outcome = LISSNAS(Planted, **{**settings, "diversity": 0.8})(task())
    assert mean_distance(outcome.space) >= 0.8 * mean_distance(SMALL)
    assert mean_distance(LISSNAS(Planted, **settings)(task()).space) < 0.6 * mean_distance(SMALL)


class Constant(Measured):
    def __init__(self, task):
        pass

    def measurements(self, architecture):
        return (1.0,)


class Nothing(Constant):
    def measurements(self, architecture):
        return (math.nan,)


def test_where_the_mean_does_not_rise_the_space_stays_as_it_is():
    outcome = LISSNAS(Constant, **SMALL_RUN)(task())
    assert outcome.space is SMALL or outcome.space.pool is None
    assert len(outcome.rounds) == 1


def test_an_estimator_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="finite score"):
        LISSNAS(Nothing, **SMALL_RUN)(task())


def test_a_constraint_holds_for_whatever_is_scored():
    table = counted(SMALL, (3, 8, 8), "parameters")
    most = sorted(table.of(one) for one in SMALL.sample(301, torch.Generator().manual_seed(0)))[150]
    Asked.seen.clear()
    outcome = LISSNAS(Asked, constraint=at_most(most), **SMALL_RUN)(task())
    assert all(table.of(one) <= most for one in Asked.seen)
    assert len(outcome.space.pool) == 60


def test_where_scores_say_nothing_a_constraint_still_holds():
    table = counted(SMALL, (3, 8, 8), "parameters")
    most = sorted(table.of(one) for one in SMALL.sample(301, torch.Generator().manual_seed(0)))[150]
    pool = LISSNAS(Constant, constraint=at_most(most), **SMALL_RUN)(task()).space.pool
    assert set(pool) == {one for one in SMALL.enumerate() if SMALL.is_valid(one) and table.of(one) <= most}
    with pytest.raises(ValueError, match="too many to be listed"):
        LISSNAS(Constant, constraint=at_most(1e9), **{**SMALL_RUN, "n_archs": 10, "neighbours": 2, "smallest": 1})(
            task(TWO)
        )


class Mostly(Planted):
    """Finite for one in twenty."""

    def measurements(self, architecture):
        (value,) = super().measurements(architecture)
        return (value if self.finite(architecture) else -math.inf,)

    @staticmethod
    def finite(architecture):
        return sum(architecture["cell"]) % 20 == 7


def test_what_has_no_finite_score_neither_leads_nor_stays():
    outcome = LISSNAS(Mostly, **SMALL_RUN)(task())
    assert all(map(Mostly.finite, outcome.space.pool))


def test_a_diversity_that_cannot_be_had_keeps_no_more_than_asked():
    settings = {**SMALL_RUN, "smallest": 20, "rounds": 1}
    with_it, without = (
        LISSNAS(Planted, **{**settings, "diversity": share})(task()).space.pool for share in (0.99, 0.0)
    )
    assert set(with_it) == set(without)


def test_the_neighbours_of_a_seed_may_be_limited():
    Asked.seen.clear()
    LISSNAS(Asked, neighbours=3, rounds=1, **SMALL_RUN)(task())
    assert 100 < len(Asked.seen) <= 100 + 10 * 3


def test_all_within_two_edits_are_found():
    one = SMALL.sample(1, torch.Generator().manual_seed(0))[0]
    assert set(within(SMALL, one, 2)) == {other for other in SMALL.enumerate() if 1 <= one.distance(other) <= 2}


def test_what_is_found_is_a_function_of_the_seed():
    pools = [LISSNAS(Planted, **SMALL_RUN)(task(seed=seed)).space.pool for seed in (0, 0, 1)]
    assert pools[0] == pools[1] != pools[2]


def test_a_large_space_with_kept_inputs_is_shrunk_too():
    outcome = LISSNAS(Planted, **{**SMALL_RUN, "n_archs": 30, "neighbours": 5, "kappa": 0.5})(task(TWO))
    assert all(map(TWO.is_valid, outcome.space.pool))
    frequencies = outcome.space.prior()["normal"]
    assert not frequencies[~outcome.space.candidates("normal")].any()
    used = outcome.start["normal"][outcome.space.candidates("normal")]
    assert used.isfinite().all()
    assert used.abs().sum() > 0


def test_alphas_start_at_a_power_of_the_pools_frequencies():
    outcome = LISSNAS(Planted, **{**SMALL_RUN, "kappa": 0.5})(task())
    count = torch.stack([one.one_hot(SMALL.operations)["cell"] for one in outcome.space.pool]).sum(dim=0).double()
    left = outcome.space.allowed["cell"]
    assert torch.equal(left, count > 0)
    powers = ((count + 1) * left).sqrt()
    mixture = outcome.start["cell"].masked_fill(~left, -torch.inf).softmax(dim=1)
    torch.testing.assert_close(mixture, powers / powers.sum(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_archs": 1}, "n_archs is 1"),
        ({"seed_share": 0.0}, "seed_share is 0.0"),
        ({"quantile": 1.5}, "quantile is 1.5"),
        ({"diversity": 1.0}, "diversity is 1.0"),
        ({"radius": 0}, "radius is 0"),
        ({"neighbours": 0}, "neighbours is 0"),
        ({"smallest": 2.5}, "smallest is 2.5"),
        ({"kappa": 0.6}, "kappa is 0.6"),
        ({"rise": "abc"}, "rise is abc"),
        ({"rise": -1.0}, "rise is -1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LISSNAS(Planted, **settings)


def test_a_constraint_that_nothing_meets_is_refused_before_any_work():
    shrinkage = LISSNAS(Planted, constraint=at_most(10))
    with pytest.raises(UserError, match="no architecture was found that satisfies it"):
        shrinkage.check(task(NASBench201(channels=4, cells_per_stage=1)))
