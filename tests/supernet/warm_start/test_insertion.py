import functools
import math

import pytest
import torch
from scipy import stats

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.estimators.cost import Cost
from supernet.estimators.proxies.grad_norm import GradNorm
from supernet.warm_start.insertion import Insertion
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted, Together, truth


def insertion(estimator=Planted, **arguments):
    return Insertion(estimator, **{"channels": 4, **arguments})


@pytest.mark.parametrize("space", [SMALL, DARTS(channels=4, layers=3)], ids=["nasbench201", "darts"])
def test_what_is_worth_most_scores_highest_whatever_the_scale(space):
    outcome = insertion()(task(space))
    for cell, table in truth(space).items():
        candidates = space.candidates(cell)
        correlation = stats.spearmanr(outcome.scores[cell][candidates], table[candidates]).statistic
        assert correlation > 0.9
        assert torch.equal(outcome.scores[cell].isnan(), ~candidates)


def test_the_worst_third_goes_and_the_best_of_every_edge_stays():
    outcome = insertion(n_archs=300)(task())
    worst = truth(SMALL)["cell"].flatten().argsort()[:10].tolist()
    gone = (~outcome.space.allowed["cell"]).flatten().nonzero().flatten().tolist()
    assert len(gone) == 10
    assert len(set(gone) & set(worst)) >= 8
    best = truth(SMALL)["cell"].argmax(dim=1)
    assert outcome.space.allowed["cell"].gather(1, best[:, None]).all()
    assert outcome.space.name == "nasbench201"
    assert outcome.space.arguments == SMALL.arguments  # thin networks are looked at, and the space stays what it was


def test_five_architectures_for_each_pair_of_edge_and_operation_are_looked_at():
    effort = insertion(GradNormOfFew)(task()).effort
    assert 145 <= effort.networks <= 150  # equal ones are measured once
    assert effort.forwards == effort.backwards == effort.networks
    assert effort.seconds > 0
    assert insertion(n_archs=20)(task()).effort.networks <= 20


GradNormOfFew = functools.partial(GradNorm, batch_size=2)


def test_the_outcome_is_a_function_of_the_seed():
    one, same, other = (insertion(GradNormOfFew, n_archs=30)(task(seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one.scores["cell"], same.scores["cell"])
    assert not torch.equal(one.scores["cell"], other.scores["cell"])


def test_alphas_start_where_kappa_says():
    assert insertion()(task()).start is None
    warm = insertion(kappa=0.5)
    assert warm.moves_alphas
    assert not insertion().moves_alphas
    outcome = warm(task())
    allowed = outcome.space.allowed["cell"]
    for edge in range(6):
        logits, scores = outcome.start["cell"][edge, allowed[edge]], outcome.scores["cell"][edge, allowed[edge]]
        assert torch.equal(logits.argsort(), scores.argsort())
        assert float(logits.std(correction=0)) == pytest.approx(0.5)


def test_networks_are_thin_and_short():
    sizes = {}

    class Sizes(Cost):
        def measurements(self, architecture):
            sizes[self.space.channels, self.space.cells_per_stage] = True
            return super().measurements(architecture)

    insertion(functools.partial(Sizes, unit="parameters"), n_archs=5, channels=8)(task(NASBench201(channels=16)))
    assert list(sizes) == [(8, 1)]


def test_a_restricted_space_stays_restricted_when_it_is_thin():
    allowed = SMALL.allowed["cell"].clone()
    allowed[:, 0] = False
    outcome = insertion(n_archs=40)(task(SMALL.restrict({"cell": allowed})))
    assert not outcome.space.allowed["cell"][:, 0].any()
    assert outcome.scores["cell"][:, 0].isnan().all()
    assert int(outcome.space.allowed["cell"].sum()) == 24 - 8


def test_what_is_disconnected_ranks_last():
    """Also a score that is minus infinity, or not a number, leaves finite effects."""

    class Cut(Planted):
        def measurements(self, architecture):
            return (-math.inf if architecture["cell"][0] == 3 else math.nan if architecture["cell"][1] == 2 else 1.0,)

    scores = insertion(Cut)(task()).scores["cell"]
    assert scores.isfinite().all()
    assert scores[0].argmin() == 3
    assert scores[1].argmin() == 2


def test_too_few_architectures_are_told_of_and_what_none_of_them_has_stays(caplog):
    outcome = insertion(n_archs=24)(task())
    assert "24 architectures cannot tell 24 effects of operations apart" in caplog.text
    caplog.clear()
    insertion(n_archs=25)(task())
    assert not caplog.text
    seen = SMALL.restrict(pool=[SMALL.parse(text) for text in POOL])
    outcome = insertion(drop=0.5, min_ops=1)(task(seen))
    assert outcome.scores["cell"][1:].isnan().sum(dim=1).tolist() == [4] * 5
    assert outcome.space.allowed["cell"][0].sum() == 4  # one of the two that are seen
    assert outcome.space.allowed["cell"][1:].all()


POOL = [f"|{name}~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|" for name in ("none", "nor_conv_1x1")]


def test_where_nothing_can_go_no_network_is_looked_at(caplog):
    allowed = torch.zeros_like(SMALL.allowed["cell"])
    allowed[:, 2:4] = True
    pairs = SMALL.restrict({"cell": allowed})
    assert insertion().idle(pairs)
    assert not insertion(kappa=0.1).idle(pairs)
    assert not insertion(min_ops=1).idle(pairs)
    assert insertion(kappa=0.1).idle(SMALL.restrict({"cell": allowed & (torch.arange(5) > 2)}))
    outcome = insertion()(task(pairs))
    assert outcome.space is pairs
    assert outcome.effort.networks == 0
    assert "no network was looked at" in caplog.text


def test_without_a_number_there_are_five_for_each_operation_of_an_edge_that_has_several():
    allowed = SMALL.allowed["cell"].clone()
    allowed[:4, [0, 1, 2, 4]] = False
    left = SMALL.restrict({"cell": allowed})
    assert 2 <= insertion(GradNormOfFew)(task(left)).effort.networks <= 25  # different ones of 50


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="n_archs is 1: it must be a whole number"):
        insertion(n_archs=1)
    with pytest.raises(ValueError, match="n_archs is 4, but there are edges with 5 operations"):
        insertion(n_archs=4).check(task())
    with pytest.raises(ValueError, match=r"channels is 4.0: it must be a whole number"):
        insertion(channels=4.0)
    with pytest.raises(ValueError, match="workers"):
        insertion(workers=0)
    with pytest.raises(ValueError, match="Together scores architectures only together"):
        insertion(Together).check(task())
    with pytest.raises(ValueError, match="batch_size is 500, but there are 200 images"):
        insertion(functools.partial(GradNorm, batch_size=500)).check(task())
    with pytest.raises(ValueError, match="protected"):
        insertion(protected=["skip"]).check(task())
