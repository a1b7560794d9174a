import math

import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.shrinkage.report import quality, report

SPACE = NASBench201(channels=4, cells_per_stage=1)


def test_quality_is_what_the_truth_says_of_those_that_are_left():
    members = [one.replace("cell", 0, 3) for one in list(SPACE.enumerate())[:400]]
    members = list(dict.fromkeys(members))[:400]
    truth = {one: float(value) for value, one in enumerate(members)}  # 0 to 399: the best two are 398 and 399
    found = quality(SPACE.restrict(pool=[members[399], members[397], members[0]]), truth)
    assert (found.mean_before, found.best_before) == (199.5, 399)
    assert found.mean == pytest.approx((399 + 397) / 3)
    assert found.best == 399
    assert found.retention == {0.005: 1 / 2, 0.01: 2 / 4}  # of the best two, and of the best four
    assert found.gain == pytest.approx((found.mean - 199.5) / 199.5)


def test_a_report_compares_the_space_before_and_after():
    after = SPACE.restrict(pool=SPACE.sample(50, torch.Generator().manual_seed(0)))
    found = report(SPACE, after)
    assert (found.size_before, found.size) == (15_625, len(after.pool))
    assert found.reduction == pytest.approx(math.log10(15_625 / len(after.pool)))
    assert found.diversity_ratio == pytest.approx(found.distance / found.distance_before)
    assert found.quality is None
    same = report(SPACE, SPACE)
    assert same.reduction == 0
    assert same.diversity_ratio == 1


def test_its_plain_values_can_be_written():
    truth = {one: float(index) for index, one in enumerate(SPACE.enumerate())}
    after = SPACE.restrict(pool=[max(truth, key=truth.get)])
    content = report(SPACE, after, truth).plain()
    assert content["quality"]["gain"] == 1
    assert content["quality"]["retention"] == {"top 0.5 %": 1 / 78, "top 1 %": 1 / 156}
    assert content["diversity_ratio"] == 0
