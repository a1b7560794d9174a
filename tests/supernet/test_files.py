import pytest

from supernet.files import shown, write_atomically


def test_text_and_bytes_are_written_whole(tmp_path):
    write_atomically(tmp_path / "a", "old")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_the_old_content_and_no_rest(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a", "old")

    def fail(*_):
        raise OSError("disk")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk"):
        write_atomically(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_path_below_the_working_folder_is_shown_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "logs" / "run") == "logs/run"
    assert shown(tmp_path.parent / "other") == str(tmp_path.parent / "other")
