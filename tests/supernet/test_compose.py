import pytest

from supernet.compose import plain
from supernet.search import main
from tests.commands import TINY, only_run, run


def test_plain_values_are_data():
    assert all(plain(value) for value in (None, 1, 1.5, True, "x", [1, [2, "y"]]))
    assert not any(plain(value) for value in ({}, {"_target_": "x"}, [{"a": 1}], object()))


@pytest.fixture
def finished(tmp_path, monkeypatch):
    assert run(monkeypatch, main, *TINY, "debug=fast", f"log_dir={tmp_path}") == 0
    return only_run(tmp_path)


def test_a_crafted_run_folder_calls_nothing(finished, tmp_path, monkeypatch, capsys):
    victim, config = tmp_path / "victim", finished / "config.yaml"
    whole = config.read_text()
    for target in ("builtins.open", "os.system", "supernet.launch.sys.exit"):
        config.write_text(
            whole.replace("supernet.relaxations.softmax.Softmax", f"{target}\n  file: {victim}\n  mode: w")
        )
        assert run(monkeypatch, main, f"resume={finished}") == 1
        assert f"wants to call '{target}'" in capsys.readouterr().err
    assert not victim.exists()


@pytest.mark.parametrize("content", ["", "[1]", "a: [", "a: ${b", "\x00"])
def test_a_broken_configuration_is_one_line(content, finished, monkeypatch, capsys):
    (finished / "config.yaml").write_text(content)
    assert run(monkeypatch, main, f"resume={finished}") == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_users_own_groups_are_added_and_resumed(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine" / "relaxation").mkdir(parents=True)
    (tmp_path / "mine" / "relaxation" / "own.yaml").write_text(
        "_target_: tests.supernet.own_relaxation.Sharp\nsharpness: 2.0\n"
    )
    own = ("--config-dir", str(tmp_path / "mine"))
    assert run(monkeypatch, main, *own, *TINY, "relaxation=own", f"log_dir={tmp_path}/logs") == 0
    folder = only_run(tmp_path / "logs")
    assert run(monkeypatch, main, *own, f"resume={folder}") == 0
    capsys.readouterr()
    assert run(monkeypatch, main, f"resume={folder}") == 1
    assert "--config-dir" in capsys.readouterr().err
