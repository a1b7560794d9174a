import logging

import pytest

from supernet.evaluation.progress import Progress, duration, watched


def test_lengths_of_time_are_readable():
    assert [duration(seconds) for seconds in (0.4, 59.9, 61, 3599, 3600, 90_000)] == [
        "0 s", "59 s", "1 min 01 s", "59 min 59 s", "1 h 00 min", "25 h 00 min"
    ]  # fmt: skip


@pytest.fixture
def now(monkeypatch):
    time = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    return time


def test_without_a_terminal_a_line_now_and_then_says_how_long_it_will_take(now, caplog):
    with caplog.at_level(logging.INFO, "supernet"), Progress(total=1000, done=400) as progress:
        for _ in range(100):
            now[0] += 1.0
            progress.advance()
    said = [record.message for record in caplog.records]
    assert said[0] == "scoring: 400 of 1,000 are done already"
    # one a second here: 31 done in 31 seconds, 569 are left
    assert said[1] == "scoring: 431 of 1,000, 9 min 29 s left"
    assert len(said) == 4


def test_what_was_done_before_does_not_make_the_rest_look_fast(now, caplog):
    with caplog.at_level(logging.INFO, "supernet"), Progress(total=100, title="evolution") as progress:
        for _ in range(50):
            progress.skip()
        for _ in range(4):
            now[0] += 10.0
            progress.advance()
    assert [record.message for record in caplog.records] == ["evolution: 54 of 100, 7 min 40 s left"]


def test_items_are_passed_on_with_a_line_now_and_then(now, caplog):
    with caplog.at_level(logging.INFO, "supernet"):
        for item in watched("abc", "pruning"):
            now[0] += 25.0 if item != "c" else 0.0
    assert [record.message for record in caplog.records] == ["pruning: 2 of 3, 25 s left"]


def test_a_bar_leaves_nothing_in_a_pipe(capfd):
    assert list(watched([1, 2, 3], "counting")) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")
