"""Searches with a warm start, run for real on tiny data."""

import csv
import json
import os
import shutil
import signal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_spaces.nasbench201 import NASBench201
from supernet.evaluation.scores import Scores
from supernet.search import main
from supernet.warm_start import record, scoring
from tests.commands import QUIET, TINY, only_run, run

SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=3, num_classes=3)
FILTER = ("warm_start=proxy", "estimator@warm_start.estimator=grad_norm", "warm_start.estimator.batch_size=8",
          "warm_start.n_archs=20", "warm_start.channels=4", "warm_start.workers=1")  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished search and what it printed."""
    logs = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        arguments = (*TINY, *FILTER, "relaxation=dirichlet", "warm_start.kappa=0.5", f"log_dir={logs}")
        assert run(monkeypatch, main, *arguments) == 0
    return only_run(logs)


def checkpoint(folder, epoch):
    return torch.load(folder / "checkpoints" / f"epoch_{epoch:04d}.ckpt", weights_only=True)


def test_the_supernet_has_only_what_was_left(finished):
    outcome = record.load(finished / "warm_start.json", SPACE)
    assert int((~outcome.space.allowed["cell"]).sum()) == 10
    saved = checkpoint(finished, 2)
    assert torch.equal(saved["supernet"]["allowed"]["cell"], outcome.space.allowed["cell"])
    names = {name for name in saved["state_dict"] if "nor_conv_1x1" in name}
    for group in range(3):
        left = outcome.space.allowed["cell"][
            [e for e, (source, _) in enumerate(SPACE.edges["cell"]) if source == group], 2
        ]
        assert any(f"operations.{group}_nor_conv_1x1" in name for name in names) == bool(left.any())
    genotype = SPACE.parse(json.loads((finished / "genotype.json").read_text())["architecture"])
    assert outcome.space.contains(genotype)


def test_its_seconds_count_and_the_settings_are_kept(finished):
    content = json.loads((finished / "warm_start.json").read_text())
    metrics = json.loads((finished / "genotype.json").read_text())["metrics"]
    with (finished / "history.csv").open(newline="") as file:
        epochs = sum(float(row["seconds"]) for row in csv.DictReader(file))
    assert metrics["seconds"] == pytest.approx(epochs + content["seconds"])
    assert metrics["warm_start/seconds"] == content["seconds"] > 0
    assert content["warm_start"] == "proxy"
    assert content["settings"]["estimator"]["_target_"] == "supernet.estimators.proxies.grad_norm.GradNorm"
    assert content["settings"]["n_archs"] == 20
    assert 0 < content["networks"] <= 20
    assert content["forwards"] == content["backwards"] == content["networks"]


def test_the_picture_is_in_the_folder_and_in_tensorboard(finished):
    assert (finished / "warm_start.png").read_bytes().startswith(b"\x89PNG")
    events = EventAccumulator(str(finished), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    assert [event.step for event in events.Images("warm_start")] == [0]
    text = events.Tensors("warm_start/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "10 of 30 operations dropped" in text


def test_the_log_and_the_table_say_what_was_dropped(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *QUIET, "warm_start=rule", "epochs=1", f"log_dir={tmp_path}") == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "12 of 30 operations dropped in" in printed
    assert "none: 0→1 0→2" in printed
    (log,) = only_run(tmp_path).glob("*.log")
    assert "avg_pool_3x3: 0→1 0→2 1→2 0→3 1→3 2→3" in log.read_text()


def test_alphas_start_on_the_side_of_the_scores(finished):
    outcome = record.load(finished / "warm_start.json", SPACE)
    alpha = checkpoint(finished, 1)["state_dict"]["alphas.alpha.cell"]
    allowed = outcome.space.allowed["cell"]
    expected = outcome.start["cell"].masked_fill(~allowed, -torch.inf).softmax(dim=1)
    beta = torch.where(alpha >= 0, alpha + 1, alpha.exp()) * allowed
    assert (beta / beta.sum(dim=1, keepdim=True) - expected).abs().max() < 0.03  # after five steps
    assert expected.max() > 0.5


def test_a_resumed_search_reads_the_file_and_does_not_look_again(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "checkpoints" / "epoch_0002.ckpt").unlink()
    (folder / "genotype.json").unlink()
    before = (folder / "warm_start.json").read_text()

    def fail(*arguments):
        raise AssertionError("it looked again")

    monkeypatch.setattr("supernet.warm_start.insertion.scored", fail)
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert (folder / "warm_start.json").read_text() == before
    one, other = (checkpoint(path, 2)["state_dict"] for path in (folder, finished))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_search_that_was_killed_in_the_filter_goes_on_after_the_last_network(finished, tmp_path, monkeypatch):
    arguments = (*QUIET, *FILTER, "relaxation=dirichlet", "warm_start.kappa=0.5")
    folder, before = tmp_path / "run", 7
    scores = folder / scoring.FILE

    class Killed(BaseException):
        pass

    append = Scores.append

    def killed(self, text, found):
        append(self, text, found)
        if len(self.path.read_text().splitlines()) > before:
            raise Killed

    folder.mkdir()
    scores.write_text("arch,score,seconds\nof another run,1.0,1.0\n")
    with monkeypatch.context() as patched:
        patched.setattr(Scores, "append", killed)
        with pytest.raises(Killed):
            run(patched, main, *arguments, f"hydra.run.dir={folder}")
    assert not (folder / "warm_start.json").exists()
    lines = scores.read_text().splitlines()
    assert len(lines) == 1 + before
    lines[1] = ",".join([*lines[1].split(",")[:2], "1000.0"])  # as if it had taken so long
    scores.write_text("".join(line + "\n" for line in lines))
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert scores.read_text().splitlines()[: 1 + before] == lines
    assert len(scores.read_text().splitlines()) == len((finished / scoring.FILE).read_text().splitlines())
    one, other = (checkpoint(path, 2)["state_dict"] for path in (folder, finished))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert json.loads((folder / "warm_start.json").read_text())["seconds"] > 1000


def test_ctrl_c_in_the_filter_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("supernet.warm_start.insertion.scored", interrupt)
    assert run(monkeypatch, main, *QUIET, *FILTER, f"hydra.run.dir={tmp_path / 'run'}") == 130
    assert f"interrupted; go on with resume={tmp_path / 'run'}" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_end_in_the_filter_it_ends_at_once_and_says_so(number, tmp_path, monkeypatch, capsys):
    def ask(*arguments):
        os.kill(os.getpid(), number)
        raise AssertionError("it went on")

    before = signal.getsignal(number)
    monkeypatch.setattr("supernet.warm_start.insertion.scored", ask)
    assert run(monkeypatch, main, *QUIET, *FILTER, f"hydra.run.dir={tmp_path / 'run'}") == 128 + number
    expected = f"asked to end by {number.name}; go on with resume={tmp_path / 'run'}"
    assert expected in capsys.readouterr().out
    assert signal.getsignal(number) == before


def test_what_a_resumed_search_would_find_again_is_not_recommended(tmp_path, monkeypatch, capsys):
    def refuse(self, task):
        raise ValueError("no")

    monkeypatch.setattr("supernet.warm_start.controls.Random.look", refuse)
    assert run(monkeypatch, main, *QUIET, "warm_start=random", f"hydra.run.dir={tmp_path / 'run'}") == 1
    assert capsys.readouterr().err.endswith("error: warm_start: no\n")


def test_a_damaged_file_stops_a_resumed_search(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    assert run(monkeypatch, main, *QUIET, "warm_start=rule", "epochs=1", f"hydra.run.dir={folder}") == 0
    (folder / "warm_start.json").write_text("{}")
    assert run(monkeypatch, main, f"resume={folder}") == 1
    assert "warm_start.json is no record of a warm start of nasbench201" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("warm_start=random", "warm_start.drop=0.6"), "drop is 0.6: it must be at least 0 and at most 1/2"),
        (("warm_start=random", "warm_start.drop=many"), "drop is many: it must be at least 0 and at most 1/2"),
        (("warm_start=random", "warm_start.drop=0.01"), "this warm start would drop nothing of nasbench201"),
        (
            ("warm_start=random", "warm_start.min_ops=5"),
            "drop nothing of nasbench201, whatever it found; use a larger warm_start.drop, warm_start.min_ops=1",
        ),
        ((*FILTER, "warm_start.n_archs=4"), "n_archs is 4, but there are edges with 5 operations"),
        ((*FILTER, "warm_start.channels=2.5"), "channels is 2.5: it must be a whole number"),
        (("warm_start=kernel_removal", "warm_start.channels=0"), "channels is 0: it must be a whole number"),
        (("warm_start=random", "warm_start.protected=[skip]"), "there are none, skip_connect, nor_conv_1x1"),
        (
            ("warm_start=random", "warm_start.kappa=0.5", "relaxation=uniform", "selection=evolution"),
            "warm_start.kappa=0",
        ),
        ((*FILTER, "warm_start.estimator.batch_size=500"), "batch_size is 500, but there are 40 images"),
        (
            ("warm_start=architectures_pool", "selection=perturbation"),
            "does not choose from a list; use selection=evolution",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(arguments, message, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *QUIET, *arguments, f"log_dir={tmp_path}") == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("search/runs/*"))


POOL = ("warm_start=architectures_pool", "estimator@warm_start.estimator=parameters", "warm_start.n_archs=30",
        "selection=evolution", "selection.population=5", "selection.generations=2", "benchmark=none")  # fmt: skip


@pytest.mark.parametrize("relaxation", ["uniform", "softmax"])
def test_evolution_chooses_from_a_pool_also_after_a_resume(relaxation, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    assert run(monkeypatch, main, *QUIET, *POOL, f"relaxation={relaxation}", f"hydra.run.dir={folder}") == 0
    pool = json.loads((folder / "warm_start.json").read_text())["pool"]
    assert len(pool) == 15
    found = json.loads((folder / "genotype.json").read_text())["architecture"]
    assert found in pool
    (folder / "genotype.json").unlink()
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert json.loads((folder / "genotype.json").read_text())["architecture"] == found


def test_a_search_by_alphas_ends_with_one_of_a_pool(tmp_path, monkeypatch):
    arguments = [setting for setting in POOL if not setting.startswith("selection")]
    assert run(monkeypatch, main, *QUIET, *arguments, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    pool = json.loads((folder / "warm_start.json").read_text())["pool"]
    assert json.loads((folder / "genotype.json").read_text())["architecture"] in pool


@pytest.mark.parametrize("callback", ["progressive", "stages"])
def test_stages_go_on_from_what_the_warm_start_left_and_refuse_a_pool(callback, tmp_path, monkeypatch, capsys):
    arguments = (*QUIET, f"callbacks=[default,{callback}]", f"callbacks.{callback}.stages=[{{at: 0.5, keep: 2}}]")
    folder = tmp_path / "run"
    assert run(monkeypatch, main, *arguments, "warm_start=random", f"hydra.run.dir={folder}") == 0
    left = record.load(folder / "warm_start.json", SPACE).space.allowed["cell"]
    allowed = checkpoint(folder, 2)["supernet"]["allowed"]["cell"]
    assert not (allowed & ~left).any()
    assert (allowed.sum(dim=1) <= 2).all()
    assert run(monkeypatch, main, *arguments, *POOL, f"hydra.run.dir={tmp_path / 'pool'}") == 1
    assert "leaves a list of architectures" in capsys.readouterr().err
    assert not (tmp_path / "pool").exists()


def test_perturbation_chooses_among_what_is_left(tmp_path, monkeypatch):
    arguments = ("warm_start=random", "selection=perturbation", "selection.tune_epochs=1", "epochs=1")
    assert run(monkeypatch, main, *QUIET, *arguments, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    found = SPACE.parse(json.loads((folder / "genotype.json").read_text())["architecture"])
    assert record.load(folder / "warm_start.json", SPACE).space.contains(found)


def test_with_one_operation_on_every_edge_the_search_still_runs(tmp_path, monkeypatch):
    assert run(monkeypatch, main, *QUIET, "warm_start=largest", "epochs=1", f"log_dir={tmp_path}") == 0
    found = json.loads((only_run(tmp_path) / "genotype.json").read_text())["architecture"]
    assert found.count("nor_conv_3x3") == 6
