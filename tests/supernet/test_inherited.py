"""One-shot scores of a search that really ran."""

from __future__ import annotations

import csv
import functools
import json
import math
import shutil

import pytest
import torch
from omegaconf import OmegaConf

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet.callbacks.checkpoint import kept_checkpoints
from supernet.errors import UserError
from supernet.estimators.one_shot import OneShot, judged, recalibrate
from supernet.evaluate import main as evaluate
from supernet.inherited import FromSearch, inherit, latest, load, single, weighted
from supernet.search import main as search
from tests.commands import only_run, run
from tests.supernet.estimators.tasks import task

SPACE = NASBench201(channels=4, cells_per_stage=1, num_classes=3)
SEARCH = (
    "data=synthetic", "data.num_images=120", "data.num_classes=3", "data.size=8", "search_space.channels=4",
    "search_space.cells_per_stage=1", "relaxation=uniform", "selection=sample", "selection.n_archs=2",
    "selection.estimator.batch_size=8", "selection.workers=1", "epochs=5", "batch_size=16", "logger=none",
    "trainer=cpu", "checkpoint_every=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, search, *SEARCH, f"hydra.run.dir={place}/run") == 0
    return place / "run"


def scored(place):
    with (only_run(place) / "scores.csv").open(newline="") as file:
        return {row["arch"]: {name: float(value) for name, value in row.items() if name != "arch"}
                for row in csv.DictReader(file)}  # fmt: skip


def test_every_so_many_epochs_and_the_last_two_are_kept(folder):
    assert list(kept_checkpoints(folder / "checkpoints")) == [2, 4, 5]
    assert list(latest(folder, 1)) == [5]
    assert list(latest(folder, 2, every=2)) == [2, 4]  # as far apart as asked for


def test_the_command_scores_with_the_weights_of_the_search(folder, tmp_path, monkeypatch):
    """Independent reference: the supernet of the checkpoint with a one-hot mixture, recalibrated by hand."""
    few = ("architectures=3", "filter=valid", "data=synthetic", f"log_dir={tmp_path}")
    settings = ("estimator.recalibration_batches=2", "estimator.checkpoints=2")
    assert run(monkeypatch, evaluate, "estimator=one_shot", f"estimator.run={folder}", *settings, *few) == 0
    found = scored(tmp_path)
    assert len(found) == 3
    made = FromSearch(task(SPACE), folder, recalibration_batches=2)
    content = torch.load(folder / "checkpoints" / "epoch_0004.ckpt", weights_only=True)
    state = {name[8:]: tensor for name, tensor in content["state_dict"].items() if name.startswith("network.")}
    for text, row in found.items():
        supernet = SPACE.supernet()
        supernet.load_state_dict(state)
        weights = SPACE.parse(text).one_hot(SPACE.operations)
        chosen = torch.nn.Sequential(Chosen(supernet, weights))
        recalibrate(chosen, [images for images, _ in made.recalibration()])
        assert (row["accuracy_4"], row["loss_4"]) == pytest.approx(judged(chosen, made.evaluation()), rel=1e-4)
        assert row["score"] == pytest.approx((row["accuracy_2"] + row["accuracy_4"]) / 2)
    report = json.loads((only_run(tmp_path) / "report.json").read_text())
    assert report["estimator"] == "one_shot"
    first, second = json.loads((only_run(tmp_path) / "stability.json").read_text())
    assert (first["checkpoint"], second["checkpoint"]) == ("2", "4")
    assert (only_run(tmp_path) / "stability.png").exists()


class Chosen(torch.nn.Module):
    def __init__(self, network, weights):
        super().__init__()
        self.network = network
        self.weights = weights

    def forward(self, x):
        return self.network(x, self.weights)


def test_two_workers_change_nothing(folder, tmp_path, monkeypatch):
    few = (
        "architectures=4",
        "data=synthetic",
        "estimator=one_shot",
        f"estimator.run={folder}",
        "estimator.metric=loss",
    )
    for workers in (1, 2):
        assert run(monkeypatch, evaluate, *few, f"workers={workers}", f"log_dir={tmp_path}/{workers}") == 0
    one, two = (scored(tmp_path / str(workers)) for workers in (1, 2))
    assert {text: (row["score"], row["accuracy"]) for text, row in one.items()} == {
        text: (row["score"], row["accuracy"]) for text, row in two.items()
    }
    assert all(row["score"] == -row["loss"] for row in one.values())


def test_a_search_by_the_weights_of_another_one_keeps_to_its_checkpoint_too(folder, tmp_path, monkeypatch):
    settings = [one for one in SEARCH if not one.startswith(("selection", "estimator@", "epochs"))]
    chosen = ("selection=sample", "selection.n_archs=3", "estimator@selection.estimator=one_shot", "epochs=0",
              f"selection.estimator.run={folder}", "selection.estimator.recalibration_batches=0",
              "objective=selection/score")  # fmt: skip
    assert run(monkeypatch, search, *settings, *chosen, f"hydra.run.dir={tmp_path}/run") == 0
    assert OmegaConf.load(tmp_path / "run" / "config.yaml").selection.estimator.epochs == [5]


def test_a_run_keeps_to_the_checkpoint_that_was_the_latest_when_it_began(folder, tmp_path, monkeypatch, capsys):
    """Another comes up while the evaluation is away; then the one it has begun with changes, and goes."""
    copy, place = shutil.copytree(folder, tmp_path / "search"), tmp_path / "run"
    few = ("architectures=3", "data=synthetic", "estimator=one_shot", f"estimator.run={copy}", "workers=1")
    assert run(monkeypatch, evaluate, *few, f"hydra.run.dir={place}") == 0
    assert OmegaConf.load(place / "config.yaml").estimator.epochs == [5]

    def values():
        with (place / "scores.csv").open(newline="") as file:
            return [(row["arch"], row["score"], row["loss"]) for row in csv.DictReader(file)]

    before = values()
    fifth = copy / "checkpoints" / "epoch_0005.ckpt"
    shutil.copy(copy / "checkpoints" / "epoch_0002.ckpt", copy / "checkpoints" / "epoch_0006.ckpt")
    (place / "scores.csv").unlink()
    assert run(monkeypatch, evaluate, f"resume={place}", "workers=2") == 0
    assert values() == before

    shutil.copy(copy / "checkpoints" / "epoch_0002.ckpt", fifth)
    assert run(monkeypatch, evaluate, f"resume={place}") == 1
    assert f"estimator.run: {fifth} has changed since {place} was begun" in capsys.readouterr().err
    fifth.unlink()
    assert run(monkeypatch, evaluate, f"resume={place}") == 1
    assert f"{fifth} is not there; the search has kept those of the epochs 2, 4, 6" in capsys.readouterr().err
    assert values() == before


def test_epochs_say_whose_checkpoints_are_taken(folder):
    some = SPACE.sample(3, torch.Generator().manual_seed(1))
    made = FromSearch(task(SPACE), folder, epochs=[4, 2], recalibration_batches=2)
    assert list(made.supernets) == ["2", "4"]
    latest_two = FromSearch(task(SPACE), folder, checkpoints=2, recalibration_batches=2)
    assert made.score(some).tolist() == latest_two.score(some).tolist()
    assert list(FromSearch(task(SPACE), folder, epochs=[4]).supernets) == [""]
    with pytest.raises(
        UserError, match=r"epoch_0003\.ckpt is not there; the search has kept those of the epochs 2, 4, 5"
    ):
        FromSearch(task(SPACE), folder, epochs=[3])
    for wrong in ([], ["4"], [True]):
        with pytest.raises(ValueError, match="it must be a list of whole numbers"):
            FromSearch(task(SPACE), folder, epochs=wrong)


def test_a_checkpoint_that_goes_before_it_is_read_is_named(folder):
    with pytest.raises(UserError, match=r"epoch_0001\.ckpt has gone: a search that is at work keeps its latest only"):
        load(SPACE, folder / "checkpoints" / "epoch_0001.ckpt")


def test_what_a_supernet_has_lost_scores_minus_infinity(folder):
    made = FromSearch(task(SPACE), folder)
    made.spaces[0].allowed["cell"][0, 3] = False
    lost = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|")
    kept = SPACE.parse("|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|")
    scores = made.score([lost, kept])
    assert scores[0] == -math.inf
    assert 0 <= scores[1] <= 1


def test_a_supernet_that_has_nothing_of_what_is_scored_says_so(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("supernet.inherited.holds", lambda space, architecture: False)
    few = ("architectures=3", "filter=valid", "data=synthetic", "workers=0", f"log_dir={tmp_path}")
    assert run(monkeypatch, evaluate, "estimator=one_shot", f"estimator.run={folder}", *few) == 1
    assert "not one of 3 architectures has a finite score; the supernet has lost" in capsys.readouterr().err


@pytest.mark.parametrize(("settings", "message"), [
    ({"checkpoints": 4}, "has kept those of the epochs 2, 4; a search with checkpoint_every=5 keeps more"),
    ({"batches": 0}, "batches is 0"), ({"recalibration_batches": -1}, "recalibration_batches is -1"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(folder, settings, message):
    with pytest.raises((UserError, ValueError), match=message):
        FromSearch(task(SPACE), folder, **settings)


def test_edge_weights_count_as_in_training():
    """Independent reference: the supernet with a one-hot mixture and the shares of the edges worked out by hand."""
    space = NASBench1Shot1(1, channels=4, layers=3, num_classes=3)
    supernet = space.supernet().eval()
    betas = {cell: torch.randn(len(edges)) for cell, edges in space.edges.items()}
    architecture = space.sample(1, torch.Generator().manual_seed(0))[0]
    images = torch.randn(4, 3, 8, 8)
    weights, shares = architecture.one_hot(space.operations), {}
    for cell, edges in space.edges.items():
        into = torch.tensor([node for _, node in edges])
        total = torch.zeros(int(into.max()) + 1).index_add(0, into, betas[cell].exp())
        shares[cell] = betas[cell].exp() / total[into] * torch.tensor([choice >= 0 for choice in architecture[cell]])
    found = single(weighted(space, betas), space, supernet, architecture).eval()
    torch.testing.assert_close(found(images), supernet(images, weights, shares))
    assert not torch.allclose(found(images), supernet(images, weights))


def test_operations_that_are_random_themselves_make_no_score_random():
    space = RobustDARTS("s4", channels=4, layers=3, num_classes=3)
    supernet = space.supernet()
    noisy = next(one for one in space.sample(99, torch.Generator().manual_seed(0)) if "noise" in space.format(one))
    batches = [(torch.randn(8, 3, 8, 8), torch.randint(3, (8,)))]
    made = OneShot({"": functools.partial(inherit, space, supernet)}, lambda: batches, lambda: batches, "loss")
    assert made.measurements(noisy) == made.measurements(noisy)


def test_a_folder_that_does_not_fit_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="that is no run folder"):
        FromSearch(task(SPACE), tmp_path)
    with pytest.raises(UserError, match="choose its search_space="):
        FromSearch(task(DARTS(channels=4, layers=3)), folder)
    copy = tmp_path / "copy"
    (copy / "checkpoints").mkdir(parents=True)
    (copy / "config.yaml").write_text((folder / "config.yaml").read_text())
    with pytest.raises(UserError, match="has no checkpoint of a supernet"):
        FromSearch(task(SPACE), copy)
    torch.save({"state_dict": {}}, copy / "checkpoints" / "epoch_0001.ckpt")
    with pytest.raises(UserError, match="is no checkpoint of a supernet of nasbench201"):
        FromSearch(task(SPACE), copy)
