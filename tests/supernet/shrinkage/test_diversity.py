import itertools
import math

import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.shrinkage.diversity import Spread, entropy, mean_distance
from supernet.shrinkage.locality import choices

SPACE, TWO = NASBench201(channels=4, cells_per_stage=1), DARTS(channels=4, layers=3)


def pool(space, size=30):
    return list(dict.fromkeys(space.sample(size, torch.Generator().manual_seed(0))))


def plain_distance(architectures):
    distances = [one.distance(other) for one, other in itertools.combinations(architectures, 2)]
    return sum(distances) / len(distances)


@pytest.mark.parametrize("space", [SPACE, TWO])
def test_the_mean_distance_is_that_of_all_pairs(space):
    members = pool(space)
    assert mean_distance(space.restrict(pool=members)) == pytest.approx(plain_distance(members), rel=1e-5)
    assert mean_distance(space.restrict(pool=members[:1])) == 0


def test_two_architectures_of_the_whole_space_differ_on_four_fifths_of_the_edges():
    assert mean_distance(SPACE) == pytest.approx(4.8 / (1 - 1 / 15_625), rel=1e-6)


def test_the_entropy_is_in_bits_and_what_is_not_kept_counts_as_a_choice():
    assert entropy(SPACE) == pytest.approx(math.log2(5), rel=1e-6)
    assert entropy(SPACE.restrict(pool=pool(SPACE)[:1])) == pytest.approx(0, abs=1e-6)
    kept = 2 / 5  # of the edges into the last node two of five are kept, each with one of seven operations
    edge = -kept * math.log2(kept / 7) - (1 - kept) * math.log2(1 - kept)
    last = TWO.prior()["normal"][-1].double()
    assert float(last.sum()) == pytest.approx(kept)
    shares = [2 / n for n in (2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5)]
    edges = [-s * math.log2(s / 7) - ((1 - s) * math.log2(1 - s) if s < 1 else 0) for s in shares]
    assert edges[-1] == pytest.approx(edge)
    assert entropy(TWO) == pytest.approx(sum(edges) / 14, rel=1e-5)


@pytest.mark.parametrize("space", [SPACE, TWO])
def test_a_list_that_grows_has_the_distance_of_what_it_holds(space):
    members = pool(space)
    rows = choices(members)
    spread = Spread(rows[:3])
    for number in range(3, len(members)):
        assert spread.distance == pytest.approx(plain_distance(members[:number]))
        spread.add(rows[number])
    assert spread.size == len(members)
    assert Spread(rows[:1]).distance == 0
