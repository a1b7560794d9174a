"""Parts of an evaluation find each other in a folder, and none waits for ever."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
import torch

from supernet.errors import UserError
from supernet.evaluation import parts
from supernet.evaluation.parts import PARTS, STATE, First, Part, alone, begun, collected, join, said, told
from supernet.evaluation.scores import Measurement, Scores, columns
from supernet.evaluation.scoring import one_by_one, take_part
from supernet.evaluation.workers import MeasuringError
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.evaluation.estimators import Ranked

ARCHITECTURES = SMALL.sample(90, torch.Generator().manual_seed(0))
TEXTS = [SMALL.format(one) for one in ARCHITECTURES]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(parts, "EVERY", 0.02)


class Slow(Ranked):
    """Takes its time, notes what it measures, and begins when all are there."""

    def __init__(self, some, measured, seconds=0.002, ready=lambda: None):
        super().__init__(some)
        self.measured, self.seconds, self.ready = measured, seconds, ready

    def measurements(self, architecture):
        if not self.measured:
            self.ready()
        self.measured.append(architecture)
        time.sleep(self.seconds)
        return super().measurements(architecture)


class Broken(Ranked):
    """Measures nothing."""

    def measurements(self, architecture):
        raise ZeroDivisionError("the disk is full")


class Helper(threading.Thread):
    """A process that takes part, as a thread of this one; what it raised is ``error``."""

    def __init__(self, folder, number, count, estimator, timeout=5.0):
        super().__init__(daemon=True)
        self.arguments, self.estimator, self.error, self.done = (folder, number, count, timeout), estimator, None, None

    def run(self):
        try:
            part = join(*self.arguments)
            if part is not None:
                with part:
                    some = self.estimator.task
                    self.done = take_part(type(self.estimator), self.estimator, some, ARCHITECTURES, part, 1)
        except BaseException as error:
            self.error = error


def lead(folder, count, estimator, timeout=5.0):
    with First(folder, count, timeout) as first:
        return one_by_one(type(estimator), estimator, estimator.task, ARCHITECTURES, folder, 1, first=first)


def plain(folder):
    """A file of scores without the seconds."""
    lines = (folder / "scores.csv").read_text().splitlines()
    return [[field for index, field in enumerate(line.split(",")) if index != 2] for line in lines]


@pytest.mark.parametrize("count", [2, 3])
def test_several_give_what_one_gives_and_each_is_measured_once(count, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "several").mkdir()
    expected, _ = one_by_one(Ranked, Ranked(task()), task(), ARCHITECTURES, tmp_path / "one", 1)
    measured, ready = [[] for _ in range(count)], threading.Barrier(count, timeout=5).wait
    estimators = [Slow(task(), some, ready=ready) for some in measured]
    helpers = [Helper(tmp_path / "several", number, count, estimators[number]) for number in range(1, count)]
    for helper in helpers:
        helper.start()
    scores, seconds = lead(tmp_path / "several", count, estimators[0])
    for helper in helpers:
        helper.join(5)
        assert helper.error is None
    assert scores == expected
    assert len(seconds) == 90
    assert plain(tmp_path / "several") == plain(tmp_path / "one")
    assert sorted(map(SMALL.format, (one for some in measured for one in some))) == sorted(TEXTS)
    assert all(measured)
    assert [helper.done for helper in helpers] == [len(some) for some in measured[1:]]
    assert [path.name for path in (tmp_path / "several" / PARTS).iterdir()] == [STATE]


def test_a_slow_process_is_left_little(tmp_path):
    ready = threading.Barrier(2, timeout=5).wait
    slow = Helper(tmp_path, 1, 2, Slow(task(), [], 0.05, ready))
    slow.start()
    lead(tmp_path, 2, Slow(task(), [], 0.005, ready))
    slow.join(5)
    assert slow.error is None
    assert 1 <= slow.done <= 20


def test_one_that_never_comes_up_is_named_and_keeps_nobody_waiting(tmp_path, caplog):
    start = time.monotonic()
    scores, _ = lead(tmp_path, 3, Ranked(task()), timeout=100)
    assert scores == Ranked(task()).score(ARCHITECTURES).tolist()
    assert "processes 1, 2 of 3 did not come up; the others have scored all" in caplog.text
    assert time.monotonic() - start < 5


def lost(folder, taken):
    """Another process that takes one architecture, writes half a line and is never heard of again."""
    part = join(folder, 1, 2, 5)
    queue = part.queue(part.left(list(enumerate(ARCHITECTURES))))
    assert queue
    names = columns(Ranked(task()))
    with Scores(part.file, names) as file:
        number, architecture = queue.popleft()
        file.append(TEXTS[number], Measurement(Ranked(task()).measurements(architecture), 9.0))
        assert queue
        file._file.write(TEXTS[queue.popleft()[0]][:9])
    taken.set()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_one_that_is_lost_is_named_after_the_limit_and_any_number_may_go_on(after, tmp_path, monkeypatch):
    taken = threading.Event()
    loser = threading.Thread(target=lost, args=(tmp_path, taken))
    loser.start()
    before = []
    with pytest.raises(UserError) as caught:
        lead(tmp_path, 2, Slow(task(), before, ready=lambda: taken.wait(5)), timeout=0.3)
    loser.join()
    said = str(caught.value)
    assert said.startswith("1 architectures are missing that process 1 of 2 (")
    assert "nothing came for 0.3 seconds (timeout)" in said
    assert f"go on with resume={tmp_path}" in said
    assert len(before) == 88  # all but the two that the other took
    assert told(tmp_path).stage == "failed"

    time.sleep(0.05)
    monkeypatch.setattr(parts, "BEGUN", time.time())  # other processes
    later = [[] for _ in range(after)]
    helpers = [Helper(tmp_path, number, after, Slow(task(), later[number])) for number in range(1, after)]
    for helper in helpers:
        helper.start()
    if after == 1:
        scores, _ = one_by_one(Slow, Slow(task(), later[0]), task(), ARCHITECTURES, tmp_path, 1)
    else:
        scores, _ = lead(tmp_path, after, Slow(task(), later[0]))
    for helper in helpers:
        helper.join(5)
        assert helper.error is None
    assert sum(map(len, later)) == 1
    assert scores == Ranked(task()).score(ARCHITECTURES).tolist()


def test_a_failure_of_another_ends_all_and_is_told(tmp_path, caplog):
    helper = Helper(tmp_path, 1, 2, Broken(task()))
    helper.start()
    with pytest.raises(UserError) as caught:
        lead(tmp_path, 2, Slow(task(), [], 0.05, lambda: helper.join(5)))
    assert isinstance(helper.error, MeasuringError)
    assert "process 1 of 2 failed: " in str(caught.value)
    assert "could not be scored: ZeroDivisionError('the disk is full')" in str(caught.value)
    assert f"go on with resume={tmp_path}" in str(caught.value)


def test_a_failure_of_another_is_told_too_when_the_first_has_nothing_left_but_to_wait(tmp_path):
    first, taken = Slow(task(), [], ready=lambda: taken.wait(5)), threading.Event()

    def fail():
        taken.set()
        while len(first.measured) < 89:
            time.sleep(0.01)
        time.sleep(0.1)
        raise ZeroDivisionError("the disk is full")

    helper = Helper(tmp_path, 1, 2, Slow(task(), [], ready=fail))
    helper.start()
    with pytest.raises(UserError, match=r"process 1 of 2 failed: .* could not be scored: .*the disk is full"):
        lead(tmp_path, 2, first, timeout=30)


def test_a_failure_of_the_first_ends_the_others(tmp_path, caplog):
    helper = Helper(tmp_path, 1, 2, Slow(task(), [], seconds=0.05))
    helper.start()
    with suppress(ZeroDivisionError), First(tmp_path, 2, 5.0) as first:
        first.open(range(90))
        time.sleep(0.2)
        raise ZeroDivisionError("no more")
    helper.join(5)
    assert f"process 0 of 2 failed: no more; go on with resume={tmp_path}" in str(helper.error)
    assert begun(tmp_path)


def test_a_first_process_that_fails_before_the_others_begin_is_not_waited_for(tmp_path):
    helper = Helper(tmp_path, 1, 2, Ranked(task()), timeout=30)
    helper.start()
    with suppress(UserError), First(tmp_path, 2, 5.0):
        time.sleep(0.2)
        raise UserError("no such data")
    helper.join(5)
    assert str(helper.error) == "process 0 of 2 failed: no such data"


def test_one_that_failed_since_this_process_is_there_is_not_waited_for_either(tmp_path):
    with suppress(UserError), First(tmp_path, 2, 5.0):
        raise UserError("no such data")
    with pytest.raises(UserError, match="process 0 of 2 failed: no such data"):
        join(tmp_path, 1, 2, 30)


@pytest.mark.parametrize("stage", [None, "preparing", "open", "failed"])
def test_a_first_process_that_does_not_come_up_is_waited_for_no_longer_than_the_limit(stage, tmp_path):
    if stage is not None:  # what an earlier one has left
        (tmp_path / PARTS / "old").mkdir(parents=True)
        (tmp_path / PARTS / STATE).write_text(json.dumps({"attempt": "old", "stage": stage, "beat": 7, "message": "x"}))
        os.utime(tmp_path / PARTS / STATE, (1e9, 1e9))
    with pytest.raises(UserError) as caught:
        join(tmp_path, 1, 2, 0.3)
    assert f"process 0 of 2 has not begun to score in {tmp_path} for 0.3 seconds (timeout)" in str(caught.value)
    assert ("go on with resume=" in str(caught.value)) == (stage is not None)


def test_one_that_comes_when_all_is_done_has_nothing_to_do(tmp_path):
    lead(tmp_path, 2, Ranked(task()))
    start = time.monotonic()
    assert join(tmp_path, 1, 2, 100) is None
    assert time.monotonic() - start < 5


def test_two_processes_of_the_same_number_are_refused(tmp_path):
    with First(tmp_path, 3, 5.0) as first:
        first.open(range(90))
        time.sleep(0.05)
        assert isinstance(join(tmp_path, 1, 3, 5), Part)
        with pytest.raises(UserError, match=r"process 1 of 3 takes part in .* already: give each its own number"):
            join(tmp_path, 1, 3, 5)
        with pytest.raises(UserError, match="process 0 of another command is at work"), First(tmp_path, 3, 5.0):
            pass
        with pytest.raises(UserError, match="process 0 of another command is at work"):
            alone(tmp_path)
    alone(tmp_path)


def test_firsts_that_begin_at_the_same_time_notice(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "alone", lambda folder: None)
    with First(tmp_path, 2, 5.0) as one, First(tmp_path, 2, 5.0) as other:
        for first in (one, other):  # each speaks now and then, so that the other hears it
            with pytest.raises(UserError, match="process 0 of another command is at work"):
                repeatedly(first.look)


def repeatedly(look):
    for _ in range(500):
        look()
        time.sleep(0.01)


def test_a_process_of_an_attempt_that_was_given_up_ends(tmp_path):
    with First(tmp_path, 2, 5.0) as first:
        first.open(range(90))
        time.sleep(0.05)
        part = join(tmp_path, 1, 2, 5)
        part.look()
    part.look()  # all is done
    assert part.over()
    with First(tmp_path, 2, 5.0):
        with pytest.raises(UserError, match="process 0 of 2 was started again, without this one"):
            part.look()
        assert not part.over()


def test_what_parts_have_left_goes_to_the_file_once(tmp_path):
    names = ("edges", "kinds")
    found = {text: Measurement((float(number), 0.0), 0.5) for number, text in enumerate(TEXTS[:9])}
    for number in range(3):
        (tmp_path / PARTS / "old").mkdir(parents=True, exist_ok=True)
        with Scores(tmp_path / PARTS / "old" / f"{number}.csv", names) as file:
            for text in TEXTS[3 * number : 3 * number + 3]:
                file.append(text, found[text])
    (tmp_path / PARTS / STATE).write_text("{}")
    assert begun(tmp_path)
    file = Scores(tmp_path / "scores.csv", names)
    assert collected(file, names) == found
    assert not begun(tmp_path)
    assert collected(file, names) == file.read() == found


def test_an_error_is_said_in_a_line():
    assert said(KeyboardInterrupt()) == said(SystemExit(130)) == "it was interrupted"
    assert said(ValueError("one\n  two\nKeyError: 3\n")) == "one KeyError: 3"
    assert said(ValueError()) == "ValueError"


def test_a_process_was_started_when_it_was():
    before = time.time()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert before - 0.1 <= parts.started(str(child.pid)) <= time.time()
    finally:
        child.communicate(b"\n")
    assert parts.started("nobody") >= before
