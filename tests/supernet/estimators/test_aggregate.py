import functools
import math

import pytest
import torch

from supernet.estimators.aggregate import RankAggregate, rank_sum
from supernet.estimators.cost import Cost
from tests.supernet.estimators.tasks import SMALL, task

PARTS = {name: functools.partial(Cost, unit=name) for name in ("parameters", "multiply_adds")}


def test_the_sum_of_logarithms_of_ranks_worked_by_hand():
    scores = torch.tensor([[3.0, 10.0], [1.0, 30.0], [2.0, 20.0], [2.0, 5.0]])
    ranks = [(4, 2), (1, 4), (2.5, 3), (2.5, 1)]
    expected = [math.log(one / 4) + math.log(other / 4) for one, other in ranks]
    assert rank_sum(scores).tolist() == pytest.approx(expected)
    assert rank_sum(scores, "linear").tolist() == pytest.approx([(one + other) / 4 for one, other in ranks])


def test_what_is_not_a_number_has_the_lowest_rank_like_minus_infinity():
    scores = torch.tensor([[math.nan, 1.0], [1.0, 2.0], [-math.inf, 3.0], [0.0, math.nan]])
    assert rank_sum(scores, "linear").tolist() == pytest.approx([(1 + 2) / 4, (4 + 3) / 4, (1 + 4) / 4, (3 + 1) / 4])


def test_with_nothing_but_minus_infinity_there_is_no_score():
    scores = torch.tensor([[math.nan, -math.inf], [1.0, -math.inf]])
    assert rank_sum(scores).tolist() == pytest.approx([-math.inf, math.log(1 / 2)])


def test_what_cannot_work_scores_minus_infinity_whatever_its_size():
    cut, small = (
        SMALL.parse(f"|{one}~0|+|{one}~0|none~1|+|{one}~0|none~1|none~2|") for one in ("none", "skip_connect")
    )
    large = SMALL.parse("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    scores = RankAggregate(task(), PARTS).score([cut, small, large])
    assert scores.tolist() == pytest.approx([-math.inf, 2 * math.log(3 / 3), -math.inf])


def test_it_measures_its_parts_and_ranks_them_together():
    aggregate = RankAggregate(task(), PARTS)
    assert aggregate.names == ("parameters", "multiply_adds")
    architectures = SMALL.sample(6, torch.Generator().manual_seed(0))
    columns = [factory(task()).score(architectures) for factory in PARTS.values()]
    assert torch.equal(aggregate.score(architectures), rank_sum(torch.stack(columns, dim=1)))


def test_an_aggregate_of_aggregates_names_its_inner_parts():
    nested = RankAggregate(task(), {"size": functools.partial(RankAggregate, estimators=PARTS)})
    assert nested.names == ("size.parameters", "size.multiply_adds")
    architectures = SMALL.sample(6, torch.Generator().manual_seed(0))
    assert nested.score(architectures).argmax() == RankAggregate(task(), PARTS).score(architectures).argmax()


def test_a_scale_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="scale is 'square'"):
        RankAggregate(task(), PARTS, scale="square")
