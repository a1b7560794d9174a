import math

import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.estimators.base import Measured
from supernet.estimators.proxies.grad_norm import GradNorm
from supernet.evaluation.scores import Measurement
from supernet.warm_start import scoring
from supernet.warm_start.kernel import Kernels
from supernet.warm_start.scoring import check_estimator, check_workers, measured, scored, thin
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted, Together


def kernels(some):
    return Kernels(some, batch_size=8, gram_batch=8)


def gradients(some):
    return GradNorm(some, batch_size=4)


def architectures(count=6):
    drawn = SMALL.sample(60, torch.Generator().manual_seed(1))
    return [one for one in dict.fromkeys(drawn) if SMALL.is_valid(one)][:count]


def test_two_processes_give_the_numbers_of_one_in_the_same_order():
    alone, effort = measured(kernels, task(), architectures(), workers=1)
    together, other = measured(kernels, task(), architectures(), workers=2)
    assert torch.equal(alone, together)
    assert alone.shape == (6, 3)
    assert [tuple(row) for row in alone.tolist()] == [kernels(task()).measurements(one) for one in architectures()]
    for one in (effort, other):
        assert (one.networks, one.forwards, one.backwards) == (6, 12, 12)
        assert one.seconds == 0  # nothing was measured before


@pytest.mark.parametrize(("threads", "workers"), [(1, 1), (2, None), (3, None)])
def test_unless_told_there_are_as_many_processes_as_threads(threads, workers, monkeypatch):
    seen = []

    def record(factory, estimator, some, rest, number):
        seen.append(number)
        yield from ((one, Measurement((1.0,), 1.0)) for one, _ in rest)

    monkeypatch.setattr(scoring, "measured_by", record)
    monkeypatch.setattr(scoring, "cores", lambda: 2)
    torch.set_num_threads(threads)
    measured(gradients, task(), architectures(2))
    assert seen == [1, workers]  # the first here; None: all cores, where that is faster
    assert torch.get_num_threads() == threads
    measured(gradients, task(), architectures(2), 5)
    assert seen[3] == 5


def test_every_network_is_looked_at_with_one_thread():
    seen = []

    class Threads(Planted):
        def measurements(self, architecture):
            seen.append(torch.get_num_threads())
            return super().measurements(architecture)

    torch.set_num_threads(2)
    measured(Threads, task(), architectures(3), 1)
    assert seen == [1, 1, 1]
    assert torch.get_num_threads() == 2


def test_after_an_interruption_what_was_measured_is_read(tmp_path):
    some, whole = architectures(), measured(kernels, task(), architectures())[0]
    measured(kernels, task(), some[:4], 1, tmp_path, "seed 1: ")

    looked = []

    class Counting(Kernels):
        def measurements(self, architecture):
            looked.append(architecture)
            return super().measurements(architecture)

    def counting(some):
        return Counting(some, batch_size=8, gram_batch=8)

    again, effort = measured(counting, task(), some, 1, tmp_path, "seed 1: ")
    assert looked == some[4:]
    assert torch.equal(again, whole)
    assert effort.seconds > 0
    assert (effort.networks, effort.forwards) == (6, 12)
    measured(counting, task(), some[:2], 1, tmp_path, "seed 2: ")  # is something else
    assert looked == [*some[4:], *some[:2]]
    assert measured(counting, task(), some, 1, tmp_path, "seed 1: ")[1].forwards == 0
    lines = (tmp_path / scoring.FILE).read_text().splitlines()
    assert len(lines) == 1 + 6 + 2
    assert lines[1].startswith(f"seed 1: {SMALL.format(some[0])},")


def test_equal_architectures_are_measured_once_and_score_alike():
    one, other = architectures(2)
    values, effort = scored(Planted, task(), [one, other, one], 1)
    assert values[0] == values[2] != values[1]
    assert effort.networks == 2
    assert values.dtype == torch.float64


def test_ranks_are_those_among_all_that_are_scored_together():
    class Ranks(Planted):
        def combine(self, measurements):
            return measurements[:, 0].argsort().argsort().double()

    values, _ = scored(Ranks, task(), architectures(6), 1)
    assert sorted(values.tolist()) == [0, 1, 2, 3, 4, 5]


class Given(Measured):
    """Scores that are known beforehand."""

    def __init__(self, task, *values):
        self.values = iter(values)

    def measurements(self, architecture):
        return (next(self.values),)


def test_what_is_no_number_passes_through_and_is_told_of(caplog):
    values = scored(lambda task: Given(task, -math.inf, 3.0), task(), architectures(2), 1)[0]
    assert values.tolist() == [-math.inf, 3.0]
    assert "1 of 2 scores are not finite and rank last" in caplog.text


@pytest.mark.parametrize(
    ("values", "message"),
    [((-math.inf, math.nan, math.inf), "none of 3 networks has a finite score"), ((2.0, 2.0, 2.0), "all 3 networks")],
)
def test_scores_that_say_nothing_are_refused_where_there_is_a_choice(values, message):
    with pytest.raises(ValueError, match=message):
        scored(lambda task: Given(task, *values), task(), architectures(3), 1)
    one = architectures(1)
    assert len(scored(lambda task: Given(task, *values), task(), [*one, *one], 1)[0]) == 2


def test_networks_are_thin_and_short():
    space = NASBench201(channels=16, cells_per_stage=5)
    assert thin(space, 4).arguments == {**space.arguments, "channels": 4, "cells_per_stage": 1}
    assert thin(space, None) is space


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="Together scores architectures only together"):
        check_estimator(Together, task())
    for workers in (0, 1.5, -1):
        with pytest.raises(ValueError, match="workers"):
            check_workers(workers)
