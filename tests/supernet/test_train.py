"""The command, run for real on tiny data."""

import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from search_spaces.darts import DARTS
from search_spaces.network import parameters
from search_spaces.published import DARTS as PUBLISHED
from supernet.errors import UserError
from supernet.genotype import Genotype
from supernet.search import main as search
from supernet.train import main as train
from tests.commands import TINY, only_run, run

SMALL = ("search_space.channels=4", "search_space.cells_per_stage=1", "batch_size=16", "trainer=cpu")
DEEP = ("search_space.channels=4", "search_space.layers=3", "batch_size=16", "trainer=cpu")
IMAGES = ("data=synthetic", "data.num_images=48", "data.size=8", "data.num_test_images=32")
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


def state(folder, epoch):
    return torch.load(folder / "checkpoints" / f"epoch_{epoch:04d}.ckpt", weights_only=True)["state_dict"]


def test_a_published_network_is_trained_by_the_recipe_of_its_space(tmp_path, monkeypatch, capsys):
    arguments = ("genotype=darts_v2", *IMAGES, *DEEP, "epochs=2", "drop_path=0.3")
    assert run(monkeypatch, train, *arguments, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    space = DARTS()
    assert space.parse(metrics["genotype"]) == space.parse(PUBLISHED["darts_v2"])
    assert metrics["search_space"] == "darts"
    assert metrics["test_accuracy"] <= metrics["test_top5_accuracy"] <= 1
    config = OmegaConf.load(folder / "config.yaml")
    assert (config.choices.search_space, config.choices.recipe) == ("darts", "darts")
    assert (config.drop_path, config.auxiliary_weight, config.clip, config.search_space.auxiliary) == (
        0.3,
        0.4,
        5,
        True,
    )
    assert "among five likeliest" in capsys.readouterr().out
    rows = (folder / "history.csv").read_text().splitlines()
    assert {"loss/auxiliary", "accuracy/test_top5", "loss/train"} <= set(rows[0].split(","))


def test_resumed_with_drop_path_and_an_auxiliary_head_the_weights_are_the_same_bit_for_bit(tmp_path, monkeypatch):
    arguments = ("genotype=darts_v1", *IMAGES, *DEEP, "epochs=3", "drop_path=0.5", "data.crop_padding=1")
    whole, broken, plain = (tmp_path / name for name in ("whole", "broken", "plain"))
    for folder in (whole, broken):
        assert run(monkeypatch, train, *arguments, f"hydra.run.dir={folder}") == 0
    (broken / "checkpoints" / "epoch_0003.ckpt").unlink()
    assert run(monkeypatch, train, f"resume={broken}") == 0
    expected, resumed = state(whole, 3), state(broken, 3)
    assert any(name.startswith("network.auxiliary.") for name in expected)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())
    one, other = (json.loads((folder / "metrics.json").read_text()) for folder in (whole, broken))
    assert one["genotype"] == other["genotype"]
    assert run(monkeypatch, train, *arguments, "drop_path=0", f"hydra.run.dir={plain}") == 0
    assert not torch.equal(state(plain, 3)["network.stem.0.weight"], expected["network.stem.0.weight"])


def test_a_sweep_over_published_networks(tmp_path, monkeypatch):
    arguments = ("-m", "genotype=darts_v1,darts_v2", *IMAGES, *DEEP, "epochs=1")
    assert run(monkeypatch, train, *arguments, f"hydra.sweep.dir={tmp_path}") == 0
    sizes = [json.loads((tmp_path / job / "metrics.json").read_text())["parameters"] for job in ("0", "1")]
    space = DARTS(channels=4, layers=3)
    assert sizes == [parameters(space.network(space.parse(PUBLISHED[name]))) for name in ("darts_v1", "darts_v2")]


def test_photographs_are_trained_by_the_recipe_for_imagenet(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 3)):
        for name in ("ant", "bee"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / name / f"{number}.jpg")
    arguments = (
        "genotype=drnas_imagenet", "recipe=darts_imagenet", f"data.root={tmp_path}/images", "data.size=32",
        "data.num_workers=0", *DEEP, "batch_size=8", "epochs=2",
    )  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        assert run(monkeypatch, train, *arguments, f"hydra.run.dir={folder}") == 0
    (broken / "checkpoints" / "epoch_0002.ckpt").unlink()
    assert run(monkeypatch, train, f"resume={broken}") == 0
    expected, resumed = state(whole, 2), state(broken, 2)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())
    config = OmegaConf.load(whole / "config.yaml")
    assert (config.choices.data, config.search_space.stem, config.label_smoothing) == ("imagenet", "imagenet", 0.1)
    assert "test_top5_accuracy" not in json.loads((whole / "metrics.json").read_text())


@pytest.mark.parametrize(("own", "expected"), [((), 16), (("cutout=8",), 8), (("data.cutout=6",), 6)])
def test_the_cutout_of_small_photographs_is_the_recipes_unless_another_is_given(own, expected, tmp_path, monkeypatch):
    seen = []

    def stop(self, **options):
        seen.append(options["cutout"])
        raise UserError("enough")

    monkeypatch.setattr("supernet.data.torchvision_sets.TorchvisionImages.__init__", stop)
    assert run(monkeypatch, train, "genotype=darts_v2", "data=cifar10", *own, f"log_dir={tmp_path}") == 1
    assert seen == [expected]


def crafted(searched, folder, **changes):
    content = json.loads((searched / "genotype.json").read_text())
    content.update(changes)
    folder.mkdir()
    (folder / "genotype.json").write_text(json.dumps(content))
    return folder


def test_a_genotype_of_another_space_than_the_chosen_one_is_refused(searched, tmp_path, monkeypatch, capsys):
    arguments = ("search_space=darts", f"log_dir={tmp_path}/logs")
    assert run(monkeypatch, train, f"genotype={searched}", *arguments) == 1
    assert "is of the space nasbench201, not darts; use search_space=nasbench201" in capsys.readouterr().err


def test_the_search_space_follows_the_genotype_and_its_size_the_recipe(tmp_path, monkeypatch):
    arguments = {"channels": 16, "layers": 8, "threshold": 0.85}
    one_input = PUBLISHED["darts_v2"].replace("|sep_conv_3x3~0|sep_conv_3x3~1|", "|sep_conv_3x3~0|", 1)
    Genotype("darts", one_input, arguments, choices={"data": "digits"}).save(tmp_path)
    assert run(monkeypatch, train, f"genotype={tmp_path}", "debug=fast", *DEEP[1:], f"log_dir={tmp_path}/logs") == 0
    config = OmegaConf.load(only_run(tmp_path / "logs") / "config.yaml")
    assert (config.search_space.channels, config.search_space.threshold) == (36, 0.85)
    assert config.genotype.startswith("normal:|sep_conv_3x3~0|+|sep_conv_3x3~0|sep_conv_3x3~1|+")


def test_a_crafted_search_space_is_refused(searched, tmp_path, monkeypatch, capsys):
    folder = crafted(searched, tmp_path / "crafted", search_space="darts hydra.run.dir=/nowhere")
    assert run(monkeypatch, train, f"genotype={folder}", f"log_dir={tmp_path}/logs") == 1
    assert "is no name of a search space" in capsys.readouterr().err


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
