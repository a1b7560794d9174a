"""Searches in a shrunk space, run for real on tiny data."""

import csv
import json
import shutil

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_spaces.nasbench201 import NASBench201
from search_spaces.network import parameters
from supernet.alphas import Alphas
from supernet.search import main
from supernet.shrinkage import record, scorer
from tests.commands import QUIET, TINY, only_run, run

SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=3, num_classes=3)
LISSNAS = ("shrinkage=lissnas", "estimator@shrinkage.estimator=grad_norm", "shrinkage.estimator.batch_size=8",
           "shrinkage.n_archs=12", "shrinkage.smallest=8", "shrinkage.rounds=1", "shrinkage.neighbours=4",
           "shrinkage.seed_share=0.25", "shrinkage.workers=1")  # fmt: skip
RANDOM = ("shrinkage=random", "shrinkage.size=30", "benchmark=none")
EVOLUTION = ("selection=evolution", "selection.population=5", "selection.generations=2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished search by alphas in a shrunk space."""
    logs = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, main, *TINY, *LISSNAS, f"log_dir={logs}") == 0
    return only_run(logs)


def found(folder):
    return SPACE.parse(json.loads((folder / "genotype.json").read_text())["architecture"])


def pool(folder):
    return [SPACE.parse(text) for text in json.loads((folder / record.FILE).read_text())["pool"]]


def checkpoint(folder, epoch):
    return torch.load(folder / "checkpoints" / f"epoch_{epoch:04d}.ckpt", weights_only=True)


def test_a_search_by_alphas_ends_with_an_architecture_of_the_pool(finished):
    assert found(finished) in pool(finished)
    weights = checkpoint(finished, 2)["state_dict"]["alphas.alpha.cell"]
    left = record.load(finished / record.FILE, SPACE).space
    shares = weights.masked_fill(~left.allowed["cell"], -torch.inf).softmax(dim=1)
    best = max(left.pool, key=lambda one: float(shares[torch.arange(6), list(one["cell"])].log().sum()))
    assert found(finished) == best


def test_the_supernet_has_what_the_pool_has_and_alphas_start_towards_it(finished):
    used = torch.stack([one.one_hot(SPACE.operations)["cell"] for one in pool(finished)]).sum(dim=0)
    assert torch.equal(checkpoint(finished, 2)["supernet"]["allowed"]["cell"], used > 0)
    start = ((used + 1) * (used > 0)).sqrt()
    alpha = checkpoint(finished, 1)["state_dict"]["alphas.alpha.cell"].masked_fill(used == 0, -torch.inf)
    # five steps of Adam with rate 3e-4
    assert (alpha.softmax(dim=1) - start / start.sum(dim=1, keepdim=True)).abs().max() < 0.02


def test_what_was_done_is_written_and_its_seconds_count(finished):
    content = json.loads((finished / record.FILE).read_text())
    metrics = json.loads((finished / "genotype.json").read_text())["metrics"]
    with (finished / "history.csv").open(newline="") as file:
        epochs = sum(float(row["seconds"]) for row in csv.DictReader(file))
    assert metrics["seconds"] == pytest.approx(epochs + content["seconds"])
    assert metrics["shrinkage/seconds"] == content["seconds"] > 0
    assert content["settings"]["smallest"] == 8
    assert content["report"]["quality"]["mean_before"] == pytest.approx(87.06, abs=0.01)
    assert len((finished / scorer.FILE).read_text().splitlines()) == 1 + content["networks"]
    assert len((finished / record.POOL).read_text().splitlines()) == 1 + len(content["pool"])


def test_picture_text_and_rounds_are_in_tensorboard(finished):
    assert (finished / "shrinkage.png").read_bytes().startswith(b"\x89PNG")
    events = EventAccumulator(str(finished), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    assert [event.step for event in events.Images("shrinkage")] == [0]
    text = events.Tensors("shrinkage/text_summary")[0].tensor_proto.string_val[0].decode()
    assert f"{len(pool(finished))} of 15,625 architectures left" in text
    assert [event.value for event in events.Scalars("shrinkage/size")] == [15_625]


def test_a_resumed_search_reads_the_files_and_ends_the_same(finished, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "checkpoints" / "epoch_0002.ckpt").unlink()
    (folder / "genotype.json").unlink()

    def fail(*arguments):
        raise AssertionError("it shrank again")

    monkeypatch.setattr("supernet.shrinkage.lissnas.LISSNAS.look", fail)
    capsys.readouterr()
    assert run(monkeypatch, main, f"resume={folder}") == 0
    one, other = (checkpoint(path, 2)["state_dict"] for path in (folder, finished))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert found(folder) == found(finished)
    assert "of the best 0.5 %" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_a_search_that_was_killed_while_it_scored_goes_on_after_the_last_line(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patched:

        def kill(*arguments):
            raise Killed

        patched.setattr("supernet.shrinkage.lissnas.LISSNAS._filled", kill)
        patched.setattr("supernet.shrinkage.lissnas.kept", kill)
        with pytest.raises(Killed):
            run(patched, main, *QUIET, *LISSNAS, f"hydra.run.dir={folder}")
    assert not (folder / record.FILE).exists()
    before = (folder / scorer.FILE).read_text()

    def fail(*arguments):
        raise AssertionError("it scored again")

    monkeypatch.setattr("supernet.estimators.proxies.grad_norm.GradNorm.measurements", fail)
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert (folder / scorer.FILE).read_text() == before
    assert pool(folder) == pool(finished)


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("supernet.shrinkage.controls.drawn", interrupt)
    assert run(monkeypatch, main, *QUIET, *RANDOM, f"hydra.run.dir={tmp_path / 'run'}") == 130
    assert f"resume={tmp_path / 'run'}" in capsys.readouterr().out


@pytest.mark.parametrize("relaxation", ["uniform", "gumbel", "dirichlet"])
def test_evolution_chooses_from_the_pool_with_every_relaxation(relaxation, tmp_path, monkeypatch):
    arguments = (*QUIET, *RANDOM, *EVOLUTION, f"relaxation={relaxation}", "epochs=1", "shrinkage.kappa=0.5")
    assert run(monkeypatch, main, *arguments, f"log_dir={tmp_path}") == 0
    assert found(only_run(tmp_path)) in pool(only_run(tmp_path))


def test_single_paths_train_nothing_but_the_pool(tmp_path, monkeypatch):
    seen, sample = set(), Alphas.sample

    def watched(self, tensors):
        mixture = sample(self, tensors)
        seen.add(tuple(mixture.only["cell"]))
        return mixture

    monkeypatch.setattr(Alphas, "sample", watched)
    assert run(monkeypatch, main, *QUIET, *RANDOM, *EVOLUTION, "relaxation=uniform", f"log_dir={tmp_path}") == 0
    assert len(seen) > 3
    assert seen <= {one["cell"] for one in pool(only_run(tmp_path))}


def test_a_warm_start_looks_at_what_is_left(tmp_path, monkeypatch):
    arguments = (*QUIET, *RANDOM, "warm_start=random", "warm_start.drop=0.1", "epochs=1")
    assert run(monkeypatch, main, *arguments, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    after = [SPACE.parse(text) for text in json.loads((folder / "warm_start.json").read_text())["pool"]]
    assert set(after) < set(pool(folder))
    assert found(folder) in after
    used = torch.stack([one.one_hot(SPACE.operations)["cell"] for one in after]).sum(dim=0)
    assert torch.equal(checkpoint(folder, 1)["supernet"]["allowed"]["cell"], used > 0)


def test_without_a_pool_everything_goes_on_as_before(tmp_path, monkeypatch):
    arguments = ("shrinkage=operations", "estimator@shrinkage.estimator=parameters", "shrinkage.n_archs=60",
                 "shrinkage.keep=2", "selection=perturbation", "selection.tune_epochs=1", "epochs=1")  # fmt: skip
    assert run(monkeypatch, main, *QUIET, *arguments, f"log_dir={tmp_path}") == 0
    left = record.load(only_run(tmp_path) / record.FILE, SPACE).space
    assert left.size() == 2**6
    assert left.contains(found(only_run(tmp_path)))


def test_a_search_by_alphas_may_be_constrained_by_what_is_left(tmp_path, monkeypatch):
    constraint = ("constraint=parameters", "constraint.most=9000")
    assert run(monkeypatch, main, *QUIET, *RANDOM, *constraint, f"log_dir={tmp_path}") == 0
    assert parameters(SPACE.network(found(only_run(tmp_path)))) <= 9000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (*RANDOM, "selection=perturbation"),
            "PerturbationSelection does not choose from a list; use selection=evolution",
        ),
        (
            (*RANDOM, "callbacks=[default,stages]", "callbacks.stages.stages=[{at: 0.5, keep: 2}]"),
            "leave the stages out",
        ),
        ((*RANDOM, "relaxation=uniform"), "learns no alphas to read an architecture from"),
        (
            ("shrinkage=lissnas", "constraint=parameters", "constraint.most=10"),
            "constraint.most=10: no architecture was found that satisfies it",
        ),
        (("shrinkage=lissnas", "shrinkage.kappa=0.9"), "kappa is 0.9"),
        (("shrinkage=lissnas", "shrinkage.estimator.batch_size=500"), "batch_size is 500, but there are 40 images"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(arguments, message, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *QUIET, *arguments, f"log_dir={tmp_path}") == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("search/runs/*"))


def test_a_large_space_is_refused_where_it_would_have_to_be_listed(tmp_path, monkeypatch, capsys):
    tiny = [setting for setting in TINY if "cells_per_stage" not in setting]
    arguments = ("search_space=darts", "search_space.layers=3", "shrinkage=deisomorphic")
    assert run(monkeypatch, main, *tiny, *arguments, f"log_dir={tmp_path}") == 1
    assert "too many to be listed" in capsys.readouterr().err
