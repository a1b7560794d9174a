import numpy as np
import pytest

from supernet.evaluation.ranks import drawn_ranks, mean_ranks, pair, vector

VALUES = [0.5, float("-inf"), 2.0, 0.5, float("nan")]


def test_equal_values_share_the_mean_of_their_ranks_and_what_is_no_number_comes_last():
    assert mean_ranks(VALUES).tolist() == [2.5, 4.5, 1.0, 2.5, 4.5]


def test_drawn_ranks_are_given_once_and_respect_the_order():
    for seed in range(10):
        ranks = drawn_ranks(VALUES, np.random.default_rng(seed))
        assert sorted(ranks) == [1, 2, 3, 4, 5]
        assert ranks[2] == 1
        assert {ranks[0], ranks[3]} == {2, 3}
        assert {ranks[1], ranks[4]} == {4, 5}


def test_no_tie_is_favoured_and_a_seed_repeats_itself():
    drawn = [drawn_ranks([1.0] * 4, np.random.default_rng(seed)) for seed in range(400)]
    assert np.mean(drawn, axis=0) == pytest.approx([2.5] * 4, abs=0.25)
    assert (drawn_ranks([1.0] * 4, np.random.default_rng(7)) == drawn[7]).all()


def test_infinity_ranks_first():
    assert mean_ranks([3.0, float("inf")]).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(("scores", "accuracies"), [([1], [1]), ([1, 2], [1, 2, 3]), ([[1, 2]], [[1, 2]])])
def test_what_is_no_ranking_is_refused(scores, accuracies):
    with pytest.raises(ValueError, match=r"length|two|vector"):
        pair(scores, accuracies)


def test_the_given_values_are_left_as_they_are():
    given = np.array([float("nan"), 1.0])
    vector(given)
    assert np.isnan(given[0])
