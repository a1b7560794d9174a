import pytest

from supernet.evaluation import criteria


def test_a_perfect_and_a_reversed_ranking():
    accuracies = [10.0, 50.0, 90.0]
    assert criteria([1, 2, 3], accuracies)["kendall_tau"] == pytest.approx(1)
    reverse = criteria([3, 2, 1], accuracies)
    assert reverse["kendall_tau"] == pytest.approx(-1)
    assert reverse["spearman_rho"] == pytest.approx(-1)
    assert reverse["accuracy_of_best_scored"] == 10
    assert reverse["best_accuracy"] == 90


def test_kendalls_tau_by_hand():
    # pairs (1,2), (1,3) agree and (2,3) does not: (2 - 1) / 3
    assert criteria([1, 3, 2], [10, 20, 30])["kendall_tau"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("scores", "accuracies"), [([1], [1]), ([1, 2], [1, 2, 3]), ([[1, 2]], [[1, 2]])])
def test_what_is_no_ranking_is_refused(scores, accuracies):
    with pytest.raises(ValueError, match=r"length|two"):
        criteria(scores, accuracies)
