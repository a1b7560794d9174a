"""What an evaluation reads is written down, and anything else is noticed."""

from __future__ import annotations

import json

import pytest
import torch
from omegaconf import OmegaConf

from supernet.errors import UserError
from supernet.estimators.base import Task
from supernet.estimators.one_shot import OneShot
from supernet.inputs import compare, digest, fix_checkpoints, inputs, keep
from supernet.samples import Samples
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.evaluation.estimators import Ranked

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


def described(content, some=None):
    some = some or task()
    return inputs(OmegaConf.create(content), Ranked(some), some)


def test_the_digest_is_sha_256(tmp_path):
    (tmp_path / "file").write_text("abc")
    assert digest(tmp_path / "file") == ABC


def test_files_are_found_wherever_a_setting_names_them(tmp_path):
    for name in ("trained.csv", "latency.json", "naswot.csv"):
        (tmp_path / name).write_text("abc")
    found = described({
        "trained": str(tmp_path),
        "estimators": {"slow": {"path": str(tmp_path)}, "none": {"path": None}, "own": {"run": "/nowhere"}},
        "features": {"files": {"naswot": str(tmp_path / "naswot.csv")}, "most": 3},
    })  # fmt: skip
    assert {name: parts for name, parts in found.items() if name != "data"} == {
        "estimator.trained": {str(tmp_path / "trained.csv"): ABC},
        "estimator.estimators.slow.path": {str(tmp_path / "latency.json"): ABC},
        "estimator.features.files.naswot": {str(tmp_path / "naswot.csv"): ABC},
    }


def other(count=200, size=8, shift=0):
    images, labels = torch.zeros(count, 3, size, size), (torch.arange(count) + shift) % 10
    return Task(SMALL, Samples.of(images, labels, 10))


@pytest.mark.parametrize(("changed", "what"), [
    ({"count": 210}, "number of images"), ({"size": 16}, "size of images"), ({"shift": 1}, "list of labels"),
])  # fmt: skip
def test_other_images_are_noticed(changed, what, tmp_path):
    keep(tmp_path, described({}, other()))
    compare(tmp_path, described({}, other()))
    with pytest.raises(UserError, match=f"data: {what} has changed since {tmp_path} was begun"):
        compare(tmp_path, described({}, other(**changed)))


def test_so_are_those_that_a_supernet_was_trained_on(tmp_path):
    def with_labels(labels):
        estimator = OneShot({}, list)
        estimator.labels = torch.tensor(labels)
        return inputs(OmegaConf.create(), estimator, task())

    keep(tmp_path, with_labels([0, 1, 1]))
    compare(tmp_path, with_labels([0, 1, 1]))
    with pytest.raises(UserError, match="data of the supernet: list of labels has changed"):
        compare(tmp_path, with_labels([0, 0, 1]))


def test_a_file_that_has_changed_or_gone_is_named(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("abc")
    keep(tmp_path, described({"trained": str(path)}))
    path.write_text("abd")
    with pytest.raises(UserError, match=f"estimator.trained: {path} has changed"):
        compare(tmp_path, described({"trained": str(path)}))
    path.unlink()
    with pytest.raises(UserError, match=f"estimator.trained: {path} has changed"):
        compare(tmp_path, described({"trained": str(path)}))


@pytest.mark.parametrize("content", ["", "[1]", "{", json.dumps({"data": 3})])
def test_a_record_that_cannot_be_read_is_one_line(content, tmp_path):
    (tmp_path / "inputs.json").write_text(content)
    with pytest.raises(UserError, match=r"inputs\.json cannot be read"):
        compare(tmp_path, {})


def test_checkpoints_are_looked_up_where_none_are_named(monkeypatch):
    monkeypatch.setattr("supernet.inherited.checkpoints_of", lambda run, count: dict.fromkeys(range(9, 9 + count)))
    search = {"run": "/run", "checkpoints": 2, "epochs": None}
    cfg = OmegaConf.create({"estimators": {"a": search, "b": {**search, "epochs": [3]}}, "epochs": None, "run": "/x"})
    fix_checkpoints(cfg)
    assert (cfg.estimators.a.epochs, cfg.estimators.b.epochs, cfg.epochs) == ([9, 10], [3], None)
