"""One at a time holds a file; flock tells open files apart, so that one process can be two here."""

import os
import subprocess
import sys
import threading

import pytest

from supernet import locks
from supernet.locks import held, lock


def test_a_file_is_held_until_it_is_closed(tmp_path):
    path = tmp_path / "file"
    with path.open("w") as mine, path.open() as other:
        assert lock(mine)
        assert not lock(other)
        mine.close()
        assert lock(other)


def test_one_that_waits_has_it_as_soon_as_the_other_lets_go(tmp_path):
    path = tmp_path / "file"
    with path.open("w") as mine, path.open() as other:
        assert lock(mine)
        threading.Timer(0.1, mine.close).start()
        assert lock(other, wait=True)
        assert mine.closed


def test_a_file_to_be_held_is_there_as_long_and_has_gone_then(tmp_path):
    path = tmp_path / "lock"
    with held(path) as first, held(path) as second:
        assert first
        assert not second
        assert path.exists()
    assert not path.exists()
    with pytest.raises(ZeroDivisionError), held(path):
        raise ZeroDivisionError
    with held(path) as again:
        assert again


def test_what_a_killed_process_has_held_is_free(tmp_path):
    path = tmp_path / "lock"
    script = f"import os, signal; from supernet.locks import held; a = held(__import__('pathlib').Path({str(path)!r}))"
    script += "; assert a.__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", script], check=False)
    assert path.exists()
    with held(path) as mine:
        assert mine
    assert not path.exists()


def test_a_file_that_was_removed_as_it_was_opened_is_not_taken_for_the_new_one(tmp_path, monkeypatch):
    path, opened = tmp_path / "lock", []

    def removed(file):
        opened.append(file)
        if len(opened) == 1:
            path.unlink()  # by whoever had it
        return True

    monkeypatch.setattr(locks, "lock", removed)
    with held(path) as mine:
        assert mine
        assert len(opened) == 2
        assert os.path.samestat(path.stat(), os.fstat(opened[1].fileno()))


def test_where_there_are_no_locks_nobody_is_kept_away(tmp_path, monkeypatch):
    def none(*_):
        raise OSError("Function not implemented")

    monkeypatch.setattr("fcntl.flock", none)
    with held(tmp_path / "lock") as first, held(tmp_path / "lock") as second:
        assert first
        assert second
