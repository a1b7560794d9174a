"""Architectures are measured once each, with the same numbers wherever that is done."""

import functools
import gc
import multiprocessing
import weakref
from collections import deque

import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.errors import UserError
from supernet.estimators.aggregate import RankAggregate
from supernet.estimators.base import Task
from supernet.estimators.proxies.expressivity import Expressivity
from supernet.estimators.proxies.fisher import Fisher
from supernet.estimators.proxies.jacob_cov import JacobCov
from supernet.estimators.proxies.knas import KNAS
from supernet.estimators.proxies.label_alignment import LabelAlignment
from supernet.estimators.proxies.naswot import NASWOT
from supernet.estimators.proxies.snip import SNIP
from supernet.estimators.proxies.synflow import SynFlow
from supernet.estimators.proxies.trainability import Trainability
from supernet.evaluation import measuring
from supernet.evaluation.measuring import cores, measured, one_thread, pays
from supernet.evaluation.scores import Measurement
from supernet.evaluation.workers import MeasuringError, Worker
from supernet.samples import Samples
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.evaluation.estimators import Complaining, Dying, Failing, Placed, Refusing, Sensitive, Unwilling


def architectures(count, space=SMALL, seed=0):
    return list(enumerate(space.sample(count, torch.Generator().manual_seed(seed))))


def all_of(factory, some, jobs, workers, devices=()):
    found = list(measured(factory, factory(some), some, jobs, workers, devices))
    assert sorted(number for number, _ in found) == [number for number, _ in jobs]  # each once
    return {number: one.values for number, one in found}


@pytest.mark.parametrize("factory", [Sensitive, functools.partial(NASWOT, batch_size=8)], ids=["sensitive", "naswot"])
def test_two_workers_give_exactly_what_one_gives(factory):
    some, jobs = task(), architectures(30)
    assert all_of(factory, some, jobs, 2) == all_of(factory, some, jobs, 1) == all_of(factory, some, jobs, 0)


def test_grey_images_whose_memory_has_the_order_of_pixels_make_no_difference():
    images = torch.randn(60, 8, 8, 1, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    samples = Samples(torch.arange(60) % 10, lambda positions: images[positions], (1, 8, 8), 10)
    some = Task(NASBench201(channels=4, cells_per_stage=1, in_channels=1), samples)
    jobs = architectures(12, some.space)
    assert all_of(Sensitive, some, jobs, 2) == all_of(Sensitive, some, jobs, 1)


def test_every_process_has_one_thread_and_its_device():
    torch.set_num_threads(2)
    devices = [torch.device("cpu", 0), torch.device("cpu", 1)]
    found = all_of(Placed, task(), architectures(40), 3, devices).values()
    assert {threads for _, threads, _ in found} == {1.0}
    places = {process: device for device, _, process in found}
    assert set(places.values()) <= {0.0, 1.0}
    assert len(places) <= 3
    (here,) = all_of(Placed, task(), architectures(1), 1).values()
    assert here[1] == 1
    assert torch.get_num_threads() == 2


def test_networks_and_tensors_of_measured_architectures_are_gone_at_once(monkeypatch):
    """Without a collection of cycles, so that memory does not depend on when there is one."""
    kinds = (NASWOT, KNAS, JacobCov, SNIP, SynFlow, Fisher, Expressivity, Trainability, LabelAlignment)
    parts = {kind.__name__: functools.partial(kind, batch_size=40) for kind in kinds}
    some, built = task(), []

    def network(space, architecture):
        found = original(space, architecture)
        built.append(weakref.ref(found))
        return found

    original = NASBench201.network
    monkeypatch.setattr(NASBench201, "network", network)
    factory = functools.partial(RankAggregate, estimators=parts)
    gc.collect()
    gc.disable()
    try:
        alive = []
        for number, _ in measured(factory, factory(some), some, architectures(6), workers=1):
            if number in (2, 5):  # by then all that lasts is there
                alive.append(sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects()))
            assert not any(one() is not None for one in built)
    finally:
        gc.enable()
    assert len(built) > 6
    assert alive[0] == alive[1]


def test_a_few_quick_architectures_are_measured_here(monkeypatch):
    def begin(*_):
        raise AssertionError("it begins other processes")

    monkeypatch.setattr(measuring, "cores", lambda: 4)
    monkeypatch.setattr(measuring, "begin", begin)
    assert len(all_of(Placed, task(), architectures(20), None)) == 20


def test_many_slow_ones_are_begun_here_and_go_on_in_several_processes(monkeypatch):
    monkeypatch.setattr(measuring, "cores", lambda: 2)
    monkeypatch.setattr(measuring, "PATIENCE", 0.0)
    monkeypatch.setattr(measuring, "STARTING", 0.0)
    found = [one for _, _, one in all_of(Placed, task(), architectures(20), None).values()]
    assert found[0] == found[1] != found[2]
    some, jobs = task(), architectures(10)
    assert all_of(Sensitive, some, jobs, None) == all_of(Sensitive, some, jobs, 1)


def test_other_processes_are_begun_where_they_save_more_time_than_they_take_to_begin():
    assert pays([9.0, 1.0, 1.0], left=20, most=2)  # 20 seconds here, 10 in two processes
    assert not pays([9.0, 1.0, 1.0], left=8, most=2)
    assert pays([9.0, 1.0, 1.0], left=8, most=4)
    assert not pays([9.0, 1.0, 1.0], left=1000, most=1)
    assert not pays([9.0, 0.001, 0.001], left=10**6, most=2)  # too little is known
    assert not pays([9.0], left=1000, most=2)  # the first may have waited for the images


def test_as_many_processes_as_gpus_are_the_default(monkeypatch):
    used = []
    monkeypatch.setattr(measuring, "_elsewhere", lambda *arguments: used.append(arguments[3:]) or iter(()))
    monkeypatch.setattr(measuring, "pays", lambda *_: True)
    gpus = [torch.device("cuda", 0), torch.device("cuda", 1)]
    list(measured(Placed, Placed(task()), task(), architectures(9), None, gpus))
    list(measured(Placed, Placed(task()), task(), architectures(9), 6, gpus))
    assert used == [(2, tuple(gpus)), (6, tuple(gpus))]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_names_the_architecture(workers):
    good, bad = (
        "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    )
    jobs = [(0, SMALL.parse(good)), (1, SMALL.parse(bad)), (2, SMALL.parse(good))]
    with pytest.raises(MeasuringError) as caught:
        list(measured(Failing, Failing(task()), task(), jobs, workers))
    assert bad in str(caught.value)
    assert "ZeroDivisionError" in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_estimator_says_of_the_input_is_told_as_it_is(workers):
    bad = SMALL.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(UserError) as caught:
        list(measured(Complaining, Complaining(task()), task(), [(0, bad), (1, bad)], workers))
    assert str(caught.value) == "the images are too small; use data.size=16"


def test_what_it_says_when_it_is_made_elsewhere_is_told_likewise():
    with pytest.raises(UserError) as caught:
        list(measured(Refusing, Refusing(task()), task(), architectures(4), 2))
    assert str(caught.value) == "the file has gone; fetch it again"


def test_a_process_that_dies_is_said_to_with_its_architecture():
    good, bad = (
        "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    )
    jobs = [(0, SMALL.parse(good)), (1, SMALL.parse(bad)), (2, SMALL.parse(good))]
    found = []
    with pytest.raises(UserError) as caught:
        found += measured(Dying, Dying(task()), task(), jobs, 2)
    assert bad in str(caught.value)
    assert "SIGKILL" in str(caught.value)
    assert "fewer workers" in str(caught.value)


def test_what_a_process_measured_before_it_died_is_kept_and_not_blamed():
    jobs, theirs = multiprocessing.Pipe()
    given = architectures(2)
    worker = Worker(task(), None, jobs, None, deque(given))
    theirs.send(Measurement((1.0,), 0.5))
    theirs.close()
    assert list(worker.rest()) == [(0, Measurement((1.0,), 0.5))]
    assert worker.at_work == SMALL.format(given[1][1])


def test_an_estimator_that_cannot_be_made_elsewhere_says_why():
    with pytest.raises(MeasuringError, match="far from home"):
        list(measured(Unwilling, Unwilling(task()), task(), architectures(4), 2))


def test_an_estimator_that_cannot_be_sent_names_the_remedy():
    def factory(some):
        return Placed(some)

    with pytest.raises(UserError, match="use workers=1"):
        list(measured(factory, Placed(task()), task(), architectures(4), 2))


def test_nothing_to_do_is_no_trouble():
    assert list(measured(Placed, Placed(task()), task(), [], 2)) == []


def test_there_is_a_core():
    assert cores() >= 1
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
