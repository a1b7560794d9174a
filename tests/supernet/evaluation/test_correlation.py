import itertools
import math

import numpy as np
import pytest

from supernet.evaluation.correlation import kendall, ndcg, pearson, sparse_kendall, spearman
from supernet.evaluation.ranks import drawn_ranks

INF = float("inf")


def tau_b(one, other):
    """Kendall's tau-b from all pairs (Kendall, 1945)."""
    agreement = [np.sign(a - b) * np.sign(c - d) if a != b and c != d else 0.0
                 for (a, c), (b, d) in itertools.combinations(zip(one, other, strict=True), 2)]  # fmt: skip
    untied = [sum(a != b for a, b in itertools.combinations(values, 2)) for values in (one, other)]
    return sum(agreement) / math.sqrt(untied[0] * untied[1])


def tied(seed, count=40):
    """Scores and accuracies with many ties, and some architectures that cannot work."""
    generator = np.random.default_rng(seed)
    accuracies = generator.integers(0, 12, count).astype(float)
    scores = accuracies + generator.integers(-4, 5, count)
    scores[:3] = -INF
    return scores, accuracies


def test_kendalls_tau_by_hand():
    # pairs (1,2), (1,3) agree and (2,3) does not: (2 - 1) / 3
    assert kendall([1, 3, 2], [10, 20, 30]) == pytest.approx(1 / 3)
    # one pair is tied in the scores, two agree: 2 / sqrt(2 * 3)
    assert kendall([1, 1, 2], [10, 20, 30]) == pytest.approx(2 / math.sqrt(6))


@pytest.mark.parametrize("seed", range(5))
def test_kendalls_tau_is_that_of_all_pairs(seed):
    scores, accuracies = tied(seed)
    finite = np.where(np.isinf(scores), -1e9, scores)
    assert kendall(scores, accuracies) == pytest.approx(tau_b(finite, accuracies))


def test_accuracies_that_differ_by_less_than_the_noise_are_ties():
    accuracies = [90.02, 90.04, 93.0]  # the first two are the same to 0.1
    assert sparse_kendall([2, 1, 3], accuracies) == pytest.approx(2 / math.sqrt(6))
    assert kendall([2, 1, 3], accuracies) == pytest.approx(1 / 3)
    assert sparse_kendall([2, 1, 3], accuracies, threshold=0.01) == pytest.approx(1 / 3)


def test_spearmans_rho_by_hand():
    # 1 - 6 * sum of squared rank differences / (n (n^2 - 1)) = 1 - 6 * 2 / 24
    assert spearman([1, 3, 2], [10, 20, 30]) == pytest.approx(0.5)
    assert spearman([-INF, 2, 1], [10, 30, 20]) == pytest.approx(1)


def test_spearmans_rho_with_ties_is_the_correlation_of_mean_ranks():
    # ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5
    assert spearman([2, 2, 1, 0], [9, 8, 7, 6]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_pearson_leaves_out_what_is_not_finite_and_says_how_many():
    value, left_out = pearson([-INF, 1, 2, float("nan"), 4, INF], [0, 10, 20, 50, 40, 60])
    assert value == pytest.approx(1)
    assert left_out == 3
    value, left_out = pearson([1, 2, 3], [1, 3, 2])
    assert value == pytest.approx(0.5)
    assert left_out == 0


@pytest.mark.parametrize("scores", [[1, 1, 1], [-INF, -INF, -INF]])
def test_a_constant_score_has_no_correlation(scores):
    accuracies = [1, 2, 3]
    assert math.isnan(kendall(scores, accuracies))
    assert math.isnan(spearman(scores, accuracies))
    assert math.isnan(pearson(scores, accuracies)[0])


def test_ndcg_by_hand():
    # gains 2^1 - 1, 2^2 - 1, 2^3 - 1; the score prefers 2, 3, 1
    found = 3 / math.log2(2) + 7 / math.log2(3) + 1 / math.log2(4)
    perfect = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    assert ndcg([1, 2, 3], [3, 1, 2]) == pytest.approx(found / perfect)
    assert ndcg([1, 2, 3], [3, 1, 2], depth=1) == pytest.approx(3 / 7)
    assert ndcg([1, 2, 3], [3, 2, 1]) == pytest.approx(1)


def test_ndcg_only_looks_at_its_depth():
    accuracies = np.arange(60.0, 80.0, 0.01)
    ranks = drawn_ranks(accuracies, np.random.default_rng(0))
    low = ranks > 1000
    shuffled = ranks.copy()
    shuffled[low] = np.random.default_rng(1).permutation(ranks[low])
    assert ndcg(accuracies, shuffled) == ndcg(accuracies, ranks) == pytest.approx(1)
