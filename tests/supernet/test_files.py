import pytest

from supernet.errors import UserError
from supernet.files import read_table, shown, write_atomically


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


TABLE = [(2, {"a": "1", "b": "x"}), (4, {"a": "2", "b": ""})]


@pytest.mark.parametrize("content", [
    "a,b\n1,x\n\n2\n", "b, c, a \nx,0,1\n \t\n,,2\n", "\ufeffa,b\r\n1,x\r\n\r\n2,\r\n", '"a", "b"\n1, "x"\n  \n2,,3\n',
])  # fmt: skip
def test_a_table_is_read_with_its_lines_blank_ones_passed_over(content, tmp_path):
    (tmp_path / "t.csv").write_text(content, newline="")
    assert list(read_table(tmp_path / "t.csv", ["a", "b"])) == TABLE


def test_blank_lines_before_a_table_and_within_a_quoted_cell(tmp_path):
    (tmp_path / "t.csv").write_text(' \n\na , b\n1 ,"x\n \ny" \n')
    assert list(read_table(tmp_path / "t.csv", ["a", "b"])) == [(6, {"a": "1", "b": "x\n \ny"})]


@pytest.mark.parametrize(("content", "message"), [
    (b"a;b\n1;x\n", "has no column `a`; its columns, separated by commas, are 'a;b'"),
    (b"a\tb\n1\tx\n", r"no column `a`; its columns, separated by commas, are 'a\\tb'"),
    (b"a\n1\n", "has no column `b`; its columns, separated by commas, are 'a'"),
    (b"", "has no column `a`; its columns, separated by commas, are none"),
    ("a,b\n1,x\n".encode("utf-16"), "is no text in UTF-8: save it as that"),
    (b'a,b\n\n1,"' + b"x" * 200_000 + b'"\n', "t.csv, line 3: field larger than field limit"),
    (b'a,"' + b"x" * 200_000 + b'"\n', "t.csv, line 1: field larger than field limit"),
])  # fmt: skip
def test_what_is_no_such_table_is_named(content, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_table(tmp_path / "t.csv", ["a", "b"]))
