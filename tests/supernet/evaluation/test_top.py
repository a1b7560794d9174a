import numpy as np
import pytest

from supernet.evaluation.top import (
    agreement,
    best_rank,
    kendall_at_bottom,
    kendall_at_top,
    mean_of_top,
    number,
    percent,
    precision_at_bottom,
    precision_at_top,
    tie_free,
    worst_rank,
)

# Ten architectures in the order of their true ranks, and their ranks by an estimate.
TRUE = np.arange(1, 11)
PREDICTED = np.array([2, 4, 1, 9, 3, 5, 10, 6, 8, 7])


def test_a_share_is_rounded_and_at_least_one():
    assert [number(share, 1000) for share in (0.001, 0.005, 0.0256, 1.0)] == [1, 5, 26, 1000]
    assert number(0.001, 40) == 1


def test_precision_at_the_top_by_hand():
    # best three by the estimate: true ranks 3, 1, 5
    assert precision_at_top(TRUE, PREDICTED, 0.3) == pytest.approx(2 / 3)
    assert precision_at_top(TRUE, PREDICTED, 0.1) == 0
    assert precision_at_top(TRUE, PREDICTED, 1.0) == 1


def test_precision_at_the_bottom_by_hand():
    # worst three by the estimate: true ranks 7, 4, 9; truly worst: 8, 9, 10
    assert precision_at_bottom(TRUE, PREDICTED, 0.3) == pytest.approx(1 / 3)
    assert precision_at_bottom(TRUE, PREDICTED, 0.1) == 0
    assert precision_at_bottom(TRUE, PREDICTED, 0.5) == pytest.approx(4 / 5)


def test_best_and_worst_rank_by_hand():
    assert best_rank(TRUE, PREDICTED, 0.1) == pytest.approx(0.3)
    assert worst_rank(TRUE, PREDICTED, 0.1) == pytest.approx(0.3)
    assert best_rank(TRUE, PREDICTED, 0.3) == pytest.approx(0.1)
    assert worst_rank(TRUE, PREDICTED, 0.3) == pytest.approx(0.5)


def test_a_perfect_estimate_has_the_best_possible_values():
    assert best_rank(TRUE, TRUE, 0.2) == pytest.approx(1 / 10)
    assert worst_rank(TRUE, TRUE, 0.2) == pytest.approx(0.2)
    assert precision_at_top(TRUE, TRUE, 0.2) == precision_at_bottom(TRUE, TRUE, 0.2) == 1


def test_kendall_within_the_top_and_the_bottom():
    scores, accuracies = -PREDICTED.astype(float), -TRUE.astype(float)
    # the predicted top three have true ranks 3, 1, 5 in this order: pairs (3,1) wrong, (3,5) and (1,5) right
    assert kendall_at_top(scores, accuracies, PREDICTED, 0.3) == pytest.approx(1 / 3)
    # the predicted bottom three: 9, 4, 7: (9,4) and (9,7) wrong, (4,7) right
    assert kendall_at_bottom(scores, accuracies, PREDICTED, 0.3) == pytest.approx(-1 / 3)
    assert np.isnan(kendall_at_top(scores, accuracies, PREDICTED, 0.1))


def test_the_mean_accuracy_of_the_top():
    assert mean_of_top(100.0 - TRUE, PREDICTED, 0.3) == pytest.approx(97)


@pytest.mark.parametrize("share", [0.005, 0.05, 0.1, 0.37, 1.0])
def test_precision_is_the_overlap_of_two_sets(share):
    generator = np.random.default_rng(3)
    true, predicted = (generator.permutation(200) + 1 for _ in range(2))
    most = max(1, round(200 * share))
    tops = [set(np.argsort(ranks)[:most]) for ranks in (true, predicted)]
    bottoms = [set(np.argsort(ranks)[-most:]) for ranks in (true, predicted)]
    assert precision_at_top(true, predicted, share) == pytest.approx(len(tops[0] & tops[1]) / most)
    assert precision_at_bottom(true, predicted, share) == pytest.approx(len(bottoms[0] & bottoms[1]) / most)
    assert best_rank(true, predicted, share) == min(true[list(tops[1])]) / 200
    assert worst_rank(true, predicted, share) == max(true[list(tops[1])]) / 200


def test_ties_in_both_rankings_look_like_chance_and_not_like_agreement():
    alike = np.zeros(400)
    found = [precision_at_top(*tie_free(alike, alike, seed), 0.1) for seed in range(50)]
    assert np.mean(found) == pytest.approx(0.1, abs=0.03)


def test_the_agreement_of_an_estimate_with_itself_and_with_its_opposite():
    estimate = np.random.default_rng(0).permutation(100)
    same = agreement(estimate, 3.0 * estimate + 1)
    assert same["relative_kendall_tau"] == pytest.approx(1)
    assert set(same["relative_precision_at_top"].values()) == {1.0}
    opposite = agreement(estimate, -estimate, shares=(0.1, 1.0))
    assert opposite["relative_kendall_tau"] == pytest.approx(-1)
    assert opposite["relative_precision_at_top"] == {"10%": 0.0, "100%": 1.0}


def test_shares_are_named_in_percent():
    assert [percent(share) for share in (0.001, 0.005, 0.05, 1.0)] == ["0.1%", "0.5%", "5%", "100%"]
