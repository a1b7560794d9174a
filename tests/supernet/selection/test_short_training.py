import csv
import functools

import pytest
import torch

from search_spaces.nasbench201 import CELL
from supernet import seeds
from supernet.errors import UserError
from supernet.selection.short_training import ShortTrainingSelection
from supernet.selection.training import accuracy, train
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection.planted import CONV, Convolutions, Scoreless

COSINE = functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=1)
SETTINGS = {"n_archs": 30, "keep": 3, "epochs": 1, "workers": 1}


def select(folder, **settings):
    return ShortTrainingSelection(folder, Convolutions, COSINE, **(SETTINGS | settings)).select(module(), images())


def read(folder):
    with (folder / "candidates.csv").open(newline="") as file:
        return {row["arch"]: (float(row["score"]), float(row["accuracy"])) for row in csv.DictReader(file)}


def test_the_best_scored_are_trained_and_the_most_accurate_is_returned(tmp_path):
    selected, candidates = select(tmp_path), read(tmp_path)
    with (tmp_path / "scores.csv").open(newline="") as file:
        scores = sorted((float(row["score"]) for row in csv.DictReader(file)), reverse=True)
    assert [score for score, _ in candidates.values()] == scores[:3]
    assert all(SPACE.parse(text)[CELL].count(CONV) == score for text, (score, _) in candidates.items())
    score, best = candidates[SPACE.format(selected.architecture)]
    assert best == max(found for _, found in candidates.values()) == selected.metrics["selection/accuracy"]
    assert score == selected.metrics["selection/score"]


def test_the_accuracy_is_that_of_a_network_trained_on_one_half_and_judged_on_the_other(tmp_path):
    select(tmp_path, keep=1)
    ((text, (_, found)),) = read(tmp_path).items()
    search, data = module(), images()
    torch.manual_seed(seeds.derive(search.seed, seeds.SELECTION))
    network = SPACE.network(SPACE.parse(text)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=3e-4)
    passes = functools.partial(data.batches, "train", shuffle=True, augment=True, drop_last=True)
    train(network, passes, optimizer, COSINE(optimizer), 1, search.clip)
    assert found == accuracy(network, data.batches("valid"))


def test_a_resumed_search_trains_only_what_is_left(tmp_path, monkeypatch):
    whole = select(tmp_path)
    lines = (tmp_path / "candidates.csv").read_text().splitlines(keepends=True)
    (tmp_path / "candidates.csv").write_text("".join(lines[:3]))
    trained = []
    monkeypatch.setattr(
        "supernet.selection.training.train", lambda network, *rest: trained.append(train(network, *rest))
    )
    assert select(tmp_path) == whole
    assert len(trained) == 1


def test_a_batch_larger_than_the_training_half_is_refused(tmp_path):
    selection = ShortTrainingSelection(tmp_path, Convolutions, COSINE, **SETTINGS)
    with pytest.raises(UserError, match="batch_size=24 or less"):
        selection.select(module(), images(batch_size=25))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("settings", [{"keep": 0}, {"epochs": 0}, {"n_archs": 0}])
def test_settings_without_sense_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ShortTrainingSelection(tmp_path, Convolutions, COSINE, **settings)


def test_nothing_is_trained_where_no_score_is_finite(tmp_path):
    selection = ShortTrainingSelection(tmp_path, Scoreless, COSINE, **SETTINGS)
    with pytest.raises(UserError, match="not one of 30 architectures has a finite score"):
        selection.select(module(), images())
    assert not (tmp_path / "candidates.csv").exists()
