import shutil

import pytest
from omegaconf import OmegaConf

from supernet.compose import make_absolute, plain, save_config
from supernet.errors import UserError
from supernet.search import main
from tests.commands import TINY, only_run, run


def test_plain_values_are_data():
    assert all(plain(value) for value in (None, 1, 1.5, True, "x", [1, [2, "y"]]))
    assert not any(plain(value) for value in ("${oc.env:HOME}", ["a", "${b}"]))
    assert not any(plain(value) for value in ({}, {"_target_": "x"}, [{"a": 1}], object()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, main, *TINY, "debug=fast", f"log_dir={logs}") == 0
    return only_run(logs)


@pytest.fixture
def finished(whole, tmp_path):
    """The folder of a finished run, to be changed."""
    folder = shutil.copytree(whole, tmp_path / "run")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(str(whole), str(folder)))
    return folder


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


@pytest.mark.parametrize("value", [
    "${oc.create:{_target_: shutil.copyfile, src: /etc/hostname, dst: VICTIM}}",
    "${oc.decode:\"{_target_: shutil.copyfile, src: /etc/hostname, dst: VICTIM}\"}",
    "${oc.env:HOME}",
    "${${seed}}",
])  # fmt: skip
def test_a_crafted_interpolation_is_refused(value, finished, tmp_path, monkeypatch, capsys):
    config, victim = finished / "config.yaml", tmp_path / "victim"
    crafted = value.replace("VICTIM", str(victim))
    config.write_text(config.read_text().replace("mean: null", f"mean: '{crafted}'"))
    assert run(monkeypatch, main, f"resume={finished}") == 1
    assert "may only refer to its own values" in capsys.readouterr().err
    assert not victim.exists()


def test_a_crafted_run_folder_writes_nowhere_else(finished, tmp_path, monkeypatch):
    config, outside = finished / "config.yaml", tmp_path / "outside"
    outside.mkdir()
    text = config.read_text().replace("default_hp_metric: false", f"default_hp_metric: false\n  save_dir: {outside}")
    text = text.replace(f"run_dir: {finished}", f"run_dir: {outside}")
    config.write_text(text)
    assert run(monkeypatch, main, f"resume={finished}") == 0
    assert list(outside.iterdir()) == []


def test_a_crafted_run_folder_downloads_nothing(finished, tmp_path, monkeypatch, capsys):
    config, outside = finished / "config.yaml", tmp_path / "outside"
    loader = f"_target_: supernet.data.torchvision_sets.TorchvisionImages\n  root: {outside}\n  download: true"
    config.write_text(config.read_text().replace("_target_: supernet.relaxations.softmax.Softmax", loader))
    assert run(monkeypatch, main, f"resume={finished}") == 1
    assert "wants to download" in capsys.readouterr().err
    assert not outside.exists()


def test_a_run_that_downloaded_can_be_resumed(tmp_path):
    save_config(OmegaConf.create({"data": {"download": True, "root": "data"}}), tmp_path)
    assert OmegaConf.load(tmp_path / "config.yaml") == {"data": {"download": False, "root": "data"}}


def test_paths_are_written_out_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    cfg = OmegaConf.create({
        "data": {"root": "images", "name": "cifar10"},
        "trained": "~/mine.csv",
        "genotype": "drnas",
        "again": {"path": "${trained}", "run": "???"},
        "estimator": {"path": None, "estimators": {"one": {"run": "/logs/run", "features": {"files": {"a": "a.csv"}}}}},
    })  # fmt: skip
    make_absolute(cfg)
    assert OmegaConf.to_container(cfg) == {
        "data": {"root": f"{tmp_path}/images", "name": "cifar10"},
        "trained": "/home/me/mine.csv",
        "genotype": "drnas",
        "again": {"path": "${trained}", "run": "???"},
        "estimator": {
            "path": None,
            "estimators": {"one": {"run": "/logs/run", "features": {"files": {"a": f"{tmp_path}/a.csv"}}}},
        },
    }
    with pytest.raises(UserError, match="root=~nobody-at-all/x: "):
        make_absolute(OmegaConf.create({"root": "~nobody-at-all/x"}))


def test_a_configuration_that_lacks_a_part_is_refused(finished, monkeypatch, capsys):
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace("relaxation:", "relaxations:", 1))
    assert run(monkeypatch, main, f"resume={finished}") == 1
    assert "lacks relaxation" in capsys.readouterr().err


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
