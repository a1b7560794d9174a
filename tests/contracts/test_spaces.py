"""What a search of any space under ``conf/search_space`` finds trains with the space's own recipe."""

from __future__ import annotations

import json

import pytest

from supernet.search import main as search
from supernet.train import main as train
from tests.commands import run
from tests.contracts.configurations import CONF, composed, names

SPACES = names("search_space")
# Those of one class, with other operations or edges: the first of each runs in the quick tests.
LIKE_THE_FIRST = ("robust_darts_s2", "robust_darts_s3", "robust_darts_s4", "nasbench1shot1_2", "nasbench1shot1_3")
TRAINED = [pytest.param(name, marks=pytest.mark.slow) if name in LIKE_THE_FIRST else name for name in SPACES]


def small(space: str) -> list[str]:
    sizes = {"channels": 4, "layers": 3, "cells_per_stage": 1}
    return [f"search_space.{key}={value}" for key, value in sizes.items() if key in settings(space)]


def settings(space: str):
    return composed("search", f"search_space={space}").search_space


@pytest.mark.parametrize("space", SPACES)
def test_every_space_has_a_recipe(space):
    assert (CONF / "recipe" / f"{space}.yaml").is_file()
    cfg = composed("train", f"search_space={space}", "genotype=x")
    assert cfg.epochs >= 50
    assert cfg.optimizer._target_.startswith("torch.optim")


@pytest.mark.parametrize("space", TRAINED)
def test_what_a_search_finds_trains(space, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tiny = [*small(space), "trainer=cpu", "logger=none", "epochs=1", "batch_size=8"]
    data = ["data=synthetic", "data.size=16", "data.num_images=80", "data.num_classes=3"]
    limits = ["trainer.limit_train_batches=2", "trainer.limit_val_batches=2"]
    assert run(monkeypatch, search, f"search_space={space}", *tiny, *data, *limits, "hydra.run.dir=found") == 0
    assert run(monkeypatch, train, "genotype=found", *tiny, *limits, "hydra.run.dir=trained") == 0
    found, trained = (json.loads((tmp_path / p).read_text()) for p in ("found/genotype.json", "trained/metrics.json"))
    assert trained["genotype"] == found["architecture"]
    assert trained["search_space"] == found["search_space"] == space
