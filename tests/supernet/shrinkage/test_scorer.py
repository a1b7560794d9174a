import math
from typing import ClassVar

import pytest
import torch

from supernet.estimators.aggregate import RankAggregate, rank_sum
from supernet.estimators.base import Estimator
from supernet.shrinkage.scorer import FILE, Scorer
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted

MANY = list(dict.fromkeys(SMALL.sample(12, torch.Generator().manual_seed(0))))


class Counting(Planted):
    count = 0

    def measurements(self, architecture):
        type(self).count += 1
        return super().measurements(architecture)


class AtOnce(Estimator):
    """Scores several together, by their number of convolutions."""

    calls: ClassVar[list] = []

    def __init__(self, task):
        pass

    def score(self, architectures):
        self.calls.append(len(architectures))
        return torch.tensor([sum(c in (2, 3) for c in one["cell"]) for one in architectures], dtype=torch.float64)


def test_each_architecture_is_measured_once():
    Counting.count = 0
    scorer = Scorer(Counting, task(), workers=1)
    for part in (MANY[:5], MANY[2:8], MANY):
        scorer.ask(part, "")
    assert Counting.count == scorer.queries == len(MANY)
    torch.testing.assert_close(scorer.scores(MANY[3:6]), Planted(task()).score(MANY[3:6]), rtol=0, atol=0)


def test_an_estimator_that_looks_at_many_is_asked_for_the_new_ones_together():
    AtOnce.calls.clear()
    scorer = Scorer(AtOnce, task())
    scorer.ask(MANY[:5], "")
    scorer.ask(MANY, "")
    scorer.ask(MANY[1:4], "")
    assert AtOnce.calls == [5, len(MANY) - 5]
    assert torch.equal(scorer.scores(MANY), AtOnce(None).score(MANY))


def test_ranks_are_those_among_all_that_were_asked_for():
    def ranks(task):
        return RankAggregate(task, {"one": Planted, "two": lambda task: Planted(task, seed=1)})

    scorer = Scorer(ranks, task(), workers=1)
    scorer.ask(MANY[:6], "")
    scorer.ask(MANY[6:], "")
    parts = torch.stack([Planted(task(), seed).score(MANY) for seed in (0, 1)], dim=1)
    assert torch.equal(scorer.scores(MANY[2:5]), rank_sum(parts)[2:5])


def test_what_is_not_a_number_is_minus_infinity():
    class Broken(AtOnce):
        def score(self, architectures):
            return torch.full((len(architectures),), math.nan, dtype=torch.float64)

    scorer = Scorer(Broken, task())
    scorer.ask(MANY, "")
    assert scorer.scores(MANY).eq(-math.inf).all()


@pytest.mark.parametrize("estimator", [Counting, AtOnce])
def test_after_an_interruption_nothing_is_scored_again(estimator, tmp_path):
    first = Scorer(estimator, task(), workers=1, folder=tmp_path)
    first.ask(MANY[:7], "")
    Counting.count = 0
    AtOnce.calls.clear()
    second = Scorer(estimator, task(), workers=1, folder=tmp_path)
    second.ask(MANY[:7], "")
    assert Counting.count == len(AtOnce.calls) == 0
    second.ask(MANY, "")
    assert Counting.count + sum(AtOnce.calls) == len(MANY) - 7
    assert torch.equal(second.scores(MANY[:7]), first.scores(MANY[:7]))
    assert second.effort.seconds > 0 == first.effort.seconds
    assert len((tmp_path / FILE).read_text().splitlines()) == 1 + len(MANY)


def test_thin_networks_are_what_is_looked_at():
    assert Scorer(Planted, task(), channels=2).task.space.arguments["channels"] == 2
    assert Scorer(Planted, task()).task.space is SMALL
