import functools
import itertools
import math

import numpy as np
import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.shrinkage.locality import Correlogram, autocorrelation, correlogram, radius, random_walk

SPACE = NASBench201(channels=4, cells_per_stage=1)


@functools.cache
def of_table(epochs, count=15_625):
    values = torch.from_numpy(NASBench201Table().accuracies("cifar10-valid", epochs))
    return correlogram(benchmark_order()[:count], values[:count])


def test_a_correlogram_is_the_correlation_over_all_pairs_at_a_distance():
    architectures = list(dict.fromkeys(SPACE.sample(60, torch.Generator().manual_seed(0))))
    values = torch.randn(len(architectures), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ranks = values.argsort().argsort().double()
    found = correlogram(architectures, values)
    for distance in range(1, 7):
        pairs = [
            (a, b)
            for a, b in itertools.permutations(range(len(architectures)), 2)
            if architectures[a].distance(architectures[b]) == distance
        ]
        assert found.pairs[distance - 1] == len(pairs) // 2
        if len(pairs) > 2:
            for column, correlations in ((values, found.pearson), (ranks, found.spearman)):
                first, second = np.array([[column[a], column[b]] for a, b in pairs]).T
                assert correlations[distance - 1] == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-5)


def test_what_is_not_kept_counts_as_a_choice_and_scores_that_are_not_finite_are_left_out():
    one = Architecture.of({"a": [0, -1], "b": [1]})
    two, three = Architecture.of({"a": [0, 2], "b": [1]}), Architecture.of({"a": [0, 2], "b": [0]})
    found = correlogram([one, two, three], torch.tensor([1.0, 2.0, 4.0]))
    assert found.pairs == (2, 1, 0)
    assert found.pearson[1] == pytest.approx(-1)
    assert math.isnan(found.pearson[2])
    assert correlogram([one, two, three], torch.tensor([1.0, 2.0, -math.inf])).pairs == (1, 0, 0)


def test_near_architectures_of_nas_bench_201_are_alike_as_measured():
    """The published table: 200 epochs, all 122 million pairs."""
    found = of_table(200)
    assert found.pearson == pytest.approx([0.568, 0.292, 0.126, 0.029, -0.024, -0.055], abs=0.02)
    assert found.spearman == pytest.approx([0.688, 0.458, 0.269, 0.105, -0.034, -0.163], abs=0.02)
    assert found.pairs[0] == 15_625 * 24 // 2
    assert radius(found) == 2


def test_short_training_shows_more_of_it():
    found = of_table(12, 6000)
    assert found.pearson == pytest.approx([0.609, 0.346, 0.168, 0.048, -0.030, -0.079], abs=0.02)


def test_the_radius_ends_before_the_first_distance_that_is_less_alike():
    def spearman(*values):
        return Correlogram(values, values, (1,) * len(values))

    assert radius(spearman(0.7, 0.5, 0.5)) == 2
    assert radius(spearman(0.7, 0.5, 0.5), most=3) == 3
    assert radius(spearman(0.7, 0.4, 0.5), most=3) == 1
    assert radius(spearman(0.2, 0.5)) == radius(spearman(math.nan, 0.9)) == 1


def test_a_random_walk_goes_from_neighbour_to_neighbour():
    for space in (SPACE, DARTS(channels=4, layers=3)):
        walk = random_walk(space, 30, torch.Generator().manual_seed(0))
        assert len(walk) == 31
        assert all(after in space.neighbours(before) for before, after in itertools.pairwise(walk))
    assert walk == random_walk(space, 30, torch.Generator().manual_seed(0))


def test_the_autocorrelation_is_that_of_its_definition():
    series = torch.tensor([1.0, 3.0, 2.0, 6.0])  # less its mean: -2, 0, -1, 3, of power 14 / 4
    assert autocorrelation(series, 3) == pytest.approx([-3 / 3 / 3.5, 2 / 2 / 3.5, -6 / 3.5])
    for lags in (0, 4):
        with pytest.raises(ValueError, match="lags"):
            autocorrelation(series, lags)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(200, [0.562, 0.354, 0.238, 0.167, 0.120, 0.089]), (12, [0.607, 0.401, 0.280, 0.200, 0.147, 0.111])],
)
def test_the_autocorrelation_of_a_walk_over_the_table_is_as_measured(epochs, expected):
    values = torch.from_numpy(NASBench201Table().accuracies("cifar10-valid", epochs))
    table = torch.empty(5, 5, 5, 5, 5, 5, dtype=torch.float64)
    for architecture, value in zip(benchmark_order(), values.tolist(), strict=True):
        table[architecture["cell"]] = value
    generator = np.random.default_rng(0)
    walks, steps = 400, 1000  # side by side, each edge change a draw among the four other operations
    place = generator.integers(5, size=(walks, 6))
    series = []
    for _ in range(steps):
        edges = generator.integers(6, size=walks)
        place[np.arange(walks), edges] = (place[np.arange(walks), edges] + generator.integers(1, 5, size=walks)) % 5
        series.append(table[tuple(torch.from_numpy(place.T))])
    whole = torch.stack(series, dim=1)
    padded = whole - whole.mean()  # one after another, so that few lags cross from one walk to the next
    assert autocorrelation(padded.flatten(), 6) == pytest.approx(expected, abs=0.02)
