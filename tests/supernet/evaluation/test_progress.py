import logging

from supernet.evaluation.progress import Progress, duration


def test_lengths_of_time_are_readable():
    assert [duration(seconds) for seconds in (0.4, 59.9, 61, 3599, 3600, 90_000)] == [
        "0 s", "59 s", "1 min 01 s", "59 min 59 s", "1 h 00 min", "25 h 00 min"
    ]  # fmt: skip


def test_without_a_terminal_a_line_now_and_then_says_how_long_it_will_take(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, "supernet"), Progress(total=1000, done=400) as progress:
        for _ in range(100):
            now[0] += 1.0
            progress.advance()
    said = [record.message for record in caplog.records]
    assert said[0] == "400 of 1,000 are scored already"
    # one a second here: 31 done in 31 seconds, 569 are left
    assert said[1] == "431 of 1,000 scored, 9 min 29 s left"
    assert len(said) == 4
