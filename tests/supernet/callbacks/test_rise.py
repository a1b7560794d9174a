import pytest

from supernet.callbacks.rise import Rise


def first(values, rise):
    """The length of the series when it is seen to have risen, and the index it leads back to."""
    return next(((n, rise(values[:n])) for n in range(len(values) + 1) if rise(values[:n]) is not None), None)


def test_a_flat_or_falling_series_never_rises():
    assert first([0.3] * 40, Rise()) is None
    assert first([1 / (1 + n) for n in range(40)], Rise()) is None


def test_a_step_is_seen_when_the_mean_has_moved_and_leads_back_before_it():
    """A step from 1 to 2 at index 20: the mean around 20 - 2 + k is 1 + k / 5; more than 1.3 of it from k = 2 on."""
    values = [1.0] * 20 + [2.0] * 20
    seen, before = first(values, Rise())
    assert seen - 1 == 21  # the mean of 17 to 21 is 1.4
    assert before == 21 - 2 - 4


def test_a_single_outlier_is_averaged_away():
    assert first([1.0] * 15 + [2.4] + [1.0] * 15, Rise()) is None
    assert first([1.0] * 15 + [2.6] + [1.0] * 15, Rise()) is not None


@pytest.mark.parametrize("growth", [1.05, 1.06, 1.07, 1.08])
def test_a_steady_growth_counts_over_the_distance_of_the_means(growth):
    """The means of a geometric series grow as it does: by growth^4 from one to the other."""
    values = [growth**n for n in range(60)]
    assert (Rise()(values) is not None) == (growth**4 > 1.3)
    assert (Rise(delta=1)(values) is not None) == (growth > 1.3)


def test_the_first_means_have_fewer_values():
    """As in the published code: the mean of value 0 is that of values 0 to 2, of value 1 that of 0 to 3."""
    values = [1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]
    assert first(values, Rise(window=5, delta=4, threshold=8.9)) is None
    assert first(values, Rise(window=5, delta=4, threshold=7.0)) == (7, 0)  # (1 + 4 * 9) / 5 = 7.4 against 1


def test_without_a_window_values_are_compared_themselves():
    assert Rise(window=1, delta=1, threshold=1.5)([1.0, 1.4]) is None
    assert Rise(window=1, delta=1, threshold=1.5)([1.0, 1.6]) == 0
    assert Rise(window=1, delta=2, threshold=1.5)([1.0, 1.6]) is None


def test_a_series_that_is_not_positive_has_no_ratio():
    rise = Rise(window=1, delta=1)
    assert rise([0.0, 1.0]) is None
    assert rise([-1.0, -9.0]) is None
    assert rise([float("nan"), 1.0]) is None
    assert rise([1.0, float("nan")]) is None


@pytest.mark.parametrize("arguments", [{"window": 4}, {"window": 0}, {"delta": 0}, {"threshold": 0.0}])
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Rise(**arguments)
