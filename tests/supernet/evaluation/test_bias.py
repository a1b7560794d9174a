import numpy as np
import pytest

from supernet.evaluation.bias import Group, by_cost, by_count, ranking_differences


def test_what_is_predicted_better_than_it_is_has_a_positive_difference():
    # true ranks 1, 2, 3; predicted 3, 1, 2
    assert ranking_differences([1, 3, 2], [30, 20, 10]).tolist() == [-2, 1, 1]


def test_ties_and_architectures_that_cannot_work_share_their_ranks():
    # predicted ranks 3.5, 3.5, 1, 2
    assert ranking_differences([-np.inf, float("nan"), 5, 4], [40, 10, 30, 20]).tolist() == [-2.5, 0.5, 1, 1]


def test_groups_of_equal_size_by_cost():
    differences = np.array([6.0, -1.0, 0.0, 1.0, -6.0, 0.0])
    groups = by_cost(differences, [60, 20, 30, 40, 10, 50], groups=3)
    assert groups == [
        Group(10, 20, 2, pytest.approx(-3.5 / 6)),
        Group(30, 40, 2, pytest.approx(0.5 / 6)),
        Group(50, 60, 2, pytest.approx(3.0 / 6)),
    ]


def test_equal_costs_are_spread_over_groups_by_chance():
    groups = by_cost(np.concatenate([np.ones(500), -np.ones(500)]), np.zeros(1000), groups=2)
    assert [group.architectures for group in groups] == [500, 500]
    assert abs(1000 * groups[0].mean) < 0.15


def test_the_five_groups_need_not_be_of_the_same_size_to_the_last_architecture():
    assert [group.architectures for group in by_cost(np.zeros(12), np.arange(12))] == [3, 3, 2, 2, 2]
    assert len(by_cost(np.zeros(3), np.arange(3))) == 3


def test_groups_by_how_often_an_operation_is_there():
    found = by_count(np.array([2.0, -1.0, -1.0, 4.0]), {"skip": [0, 2, 2, 0], "conv": [1, 1, 1, 1]})
    assert found == {
        "skip": [Group(0, 0, 2, pytest.approx(3 / 4)), Group(2, 2, 2, pytest.approx(-1 / 4))],
        "conv": [Group(1, 1, 4, pytest.approx(1 / 4))],
    }


def test_the_differences_of_all_architectures_cancel():
    generator = np.random.default_rng(0)
    differences = ranking_differences(generator.normal(size=99), generator.normal(size=99))
    assert differences.sum() == pytest.approx(0)
