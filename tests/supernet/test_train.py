"""The command, run for real on tiny data."""

import json

import pytest
from omegaconf import OmegaConf

from supernet.genotype import Genotype
from supernet.search import main as search
from supernet.train import main as train
from tests.commands import TINY, only_run, run

SMALL = ("search_space.channels=4", "search_space.cells_per_stage=1", "batch_size=16", "trainer=cpu")
CONV = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    logs = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, search, *TINY, "debug=fast", "data.num_classes=5", f"log_dir={logs}") == 0
    return only_run(logs)


def test_a_run_folder_is_trained_on_the_data_of_its_search(searched, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, train, f"genotype={searched}", *SMALL, "epochs=2", f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["genotype"] == Genotype.load(searched).architecture
    assert 0 <= metrics["test_accuracy"] <= metrics["best_test_accuracy"] <= 1
    assert metrics["epochs"] == 2
    config = OmegaConf.load(folder / "config.yaml")
    assert (config.data.num_classes, config.data.num_images, config.choices.data) == (5, 80, "synthetic")
    assert "test accuracy" in capsys.readouterr().out
    assert list(folder.glob("events.out.tfevents*"))


def test_an_architecture_is_trained_and_a_resumed_training_ends_the_same(tmp_path, monkeypatch):
    arguments = (f"genotype={CONV}", "data=synthetic", "data.num_images=96", "data.size=8", *SMALL, "epochs=3")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        assert run(monkeypatch, train, *arguments, f"hydra.run.dir={folder}") == 0
    expected = json.loads((whole / "metrics.json").read_text())
    (broken / "checkpoints" / "epoch_0003.ckpt").unlink()
    (broken / "metrics.json").unlink()
    assert run(monkeypatch, train, f"resume={broken}") == 0
    resumed = json.loads((broken / "metrics.json").read_text())
    for name in ("genotype", "test_accuracy", "best_test_accuracy", "epochs", "parameters", "multiply_adds"):
        assert resumed[name] == expected[name]


def crafted(searched, folder, **changes):
    content = json.loads((searched / "genotype.json").read_text())
    content.update(changes)
    folder.mkdir()
    (folder / "genotype.json").write_text(json.dumps(content))
    return folder


def test_a_genotype_of_another_space_is_refused(searched, tmp_path, monkeypatch, capsys):
    folder = crafted(searched, tmp_path / "other", search_space="darts")
    assert run(monkeypatch, train, f"genotype={folder}", f"log_dir={tmp_path}/logs") == 1
    assert "is of the space darts, not nasbench201" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../../etc/passwd", "no_such", "/etc/passwd"])
def test_a_crafted_choice_of_data_names_no_file_outside(name, searched, tmp_path, monkeypatch, capsys):
    folder = crafted(searched, tmp_path / "crafted", choices={"data": name})
    assert run(monkeypatch, train, f"genotype={folder}", f"log_dir={tmp_path}/logs") == 1
    assert f"there is no data={name}" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["mean", "size"])
def test_a_crafted_interpolation_in_a_genotype_is_not_taken(key, searched, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    attack = f"${{oc.create:{{_target_: shutil.copyfile, src: /etc/hostname, dst: {victim}}}}}"
    data = json.loads((searched / "genotype.json").read_text())["config"]["data"]
    for value in (attack, [attack, attack, attack]):
        folder = crafted(searched, tmp_path / f"crafted{type(value).__name__}", config={"data": {**data, key: value}})
        arguments = (f"genotype={folder}", *SMALL, "epochs=1", f"log_dir={tmp_path}/logs{type(value).__name__}")
        assert run(monkeypatch, train, *arguments) == 0
    assert not victim.exists()


def test_a_crafted_configuration_in_a_genotype_calls_nothing(searched, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    attack = {"_target_": "builtins.open", "file": str(victim), "mode": "w"}
    data = {"_target_": "builtins.open", "file": str(victim), "mode": "w", "num_images": attack, "num_classes": 4}
    folder = crafted(searched, tmp_path / "crafted", config={"data": data, "_target_": "builtins.open"})
    assert run(monkeypatch, train, f"genotype={folder}", *SMALL, "epochs=1", f"log_dir={tmp_path}/logs") == 0
    assert not victim.exists()
    config = OmegaConf.load(only_run(tmp_path / "logs") / "config.yaml")
    assert config.data.num_classes == 4  # plain values are taken
    assert config.data._target_ == "supernet.data.synthetic.Synthetic"
