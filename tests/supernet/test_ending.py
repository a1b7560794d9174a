"""Searches that train no supernet, run for real on tiny data, and how every search ends."""

import csv
import json
import os
import signal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_spaces.nasbench201 import NASBench201
from supernet import ending
from supernet.evaluation.scores import Scores
from supernet.search import main
from tests.commands import QUIET, TINY, only_run, run
from tests.supernet.searches import fit, images, module

SAMPLE = (*TINY, "epochs=0", "selection=sample", "selection.n_archs=8", "selection.estimator.batch_size=8",
          "selection.workers=1", "objective=selection/score")  # fmt: skip
SPACE = NASBench201()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, main, *SAMPLE, f"log_dir={logs}") == 0
    return only_run(logs)


def genotype(folder):
    return json.loads((folder / "genotype.json").read_text())


def scores(folder):
    with (folder / "scores.csv").open(newline="") as file:
        return {row["arch"]: float(row["score"]) for row in csv.DictReader(file)}


def test_without_epochs_nothing_is_trained_and_the_selection_decides(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"genotype.json", "config.yaml", "scores.csv", "search.log"} <= names
    assert not names & {"checkpoints", "history.csv"}
    found = genotype(finished)
    assert scores(finished)[found["architecture"]] == max(scores(finished).values())
    measured = {name for name in found["metrics"] if not name.startswith("benchmark/")}  # that, a table has recorded
    assert measured == {"seconds", "selection/score", "selection/seconds"}
    assert found["metrics"]["selection/score"] == max(scores(finished).values())
    assert found["metrics"]["seconds"] == found["metrics"]["selection/seconds"] > 0


def test_no_optimizer_steps(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("a step")

    monkeypatch.setattr(torch.optim.SGD, "step", fail)
    monkeypatch.setattr(torch.optim.Adam, "step", fail)
    monkeypatch.setattr("pytorch_lightning.Trainer.fit", fail)
    assert run(monkeypatch, main, *QUIET, "epochs=0", "selection=free_darts", "objective=selection/score",
               f"log_dir={tmp_path}") == 0  # fmt: skip


def test_the_table_claims_no_accuracy_and_shows_the_truth(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *SAMPLE, f"log_dir={tmp_path}") == 0
    printed = capsys.readouterr().out
    assert "supernet" not in printed
    assert "discretized" not in printed
    assert "score" in printed
    assert "table: cifar10" in printed


def test_tensorboard_has_what_was_found_and_the_settings(finished):
    events = EventAccumulator(str(finished), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    events.Reload()
    found = genotype(finished)
    (event,) = events.Scalars("selection/score")
    assert event.value == pytest.approx(found["metrics"]["selection/score"], rel=1e-6)
    assert events.Images("genotype")
    text = events.Tensors("genotype/text_summary")[0].tensor_proto.string_val[0].decode()
    assert found["architecture"] in text
    assert b"selection" in events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content


def test_a_finished_search_that_is_resumed_does_not_repeat_anything(finished, monkeypatch, capsys):
    kept = {name: (finished / name).read_text() for name in ("genotype.json", "scores.csv")}

    def fail(*arguments, **options):
        raise AssertionError("it looked again")

    monkeypatch.setattr("supernet.selection.sample.SampleSelection.select", fail)
    assert run(monkeypatch, main, f"resume={finished}") == 0
    assert {name: (finished / name).read_text() for name in kept} == kept
    assert genotype(finished)["architecture"].split("+")[0] in capsys.readouterr().out


def test_an_interrupted_search_goes_on_and_its_seconds_count(finished, tmp_path, monkeypatch):
    folder, kill_at = tmp_path / "run", 5

    class Killed(BaseException):
        pass

    append = Scores.append

    def killed(self, text, found):
        append(self, text, found)
        if len(self.path.read_text().splitlines()) > kill_at:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Scores, "append", killed)
        with pytest.raises(Killed):
            run(patched, main, *SAMPLE, f"hydra.run.dir={folder}")
    assert not (folder / "genotype.json").exists()
    assert len(scores(folder)) == kill_at
    text = (folder / "scores.csv").read_text().splitlines()
    text[1] = ",".join([*text[1].split(",")[:2], "1000.0"])  # as if it had taken so long
    (folder / "scores.csv").write_text("".join(line + "\n" for line in text))
    assert run(monkeypatch, main, f"resume={folder}") == 0
    assert genotype(folder)["architecture"] == genotype(finished)["architecture"]
    assert scores(folder) == scores(finished)
    assert genotype(folder)["metrics"]["seconds"] > 1000


@pytest.mark.parametrize("heeded", [True, False])
def test_asked_to_end_while_it_chooses_a_search_ends_and_says_so(heeded, tmp_path, monkeypatch, capsys):
    """An exception that a signal raises is lost where it comes in a callback: then the request is heeded later."""

    def ask(self, module, images):
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        except KeyboardInterrupt:
            if heeded:
                raise

    monkeypatch.setattr("supernet.selection.sample.SampleSelection.select", ask)
    assert run(monkeypatch, main, *SAMPLE, f"hydra.run.dir={tmp_path}/run") == 128 + signal.SIGUSR1
    assert f"asked to end by SIGUSR1; go on with resume={tmp_path}/run" in capsys.readouterr().out
    assert not (tmp_path / "run" / "genotype.json").exists()


def test_a_new_run_in_an_old_folder_takes_nothing_from_it(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scores.csv").write_text("arch,score,seconds\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,1e9,1.0\n")
    assert run(monkeypatch, main, *SAMPLE, f"hydra.run.dir={folder}") == 0
    assert scores(folder) == scores(finished)


def test_a_sweep_is_judged_by_the_score(tmp_path, monkeypatch):
    assert run(monkeypatch, main, "-m", *SAMPLE, f"log_dir={tmp_path}", "seed=1,2") == 0
    folders = sorted(path.parent for path in tmp_path.glob("search/multiruns/*/*/genotype.json"))
    assert len(folders) == 2
    assert len({genotype(folder)["metrics"]["selection/score"] for folder in folders}) == 2


def test_a_warm_start_goes_before_it(tmp_path, monkeypatch):
    assert run(monkeypatch, main, *SAMPLE, "warm_start=rule", f"log_dir={tmp_path}") == 0
    found = genotype(only_run(tmp_path))
    assert "none" not in found["architecture"]
    assert "pool" not in found["architecture"]
    assert found["metrics"]["seconds"] == pytest.approx(
        found["metrics"]["selection/seconds"] + found["metrics"]["warm_start/seconds"]
    )


def test_a_selection_without_training_after_a_training_is_allowed_but_said(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *SAMPLE, "epochs=1", f"log_dir={tmp_path}") == 0
    (log,) = only_run(tmp_path).glob("*.log")
    assert "selection=sample does not look at the supernet that is trained first" in log.read_text()
    assert "discretized" in capsys.readouterr().out


def test_the_metrics_of_a_selection_are_kept_and_may_be_the_objective(tmp_path, monkeypatch):
    small = ("selection=evolution", "selection.population=4", "selection.generations=1", "selection.survivors=2")
    arguments = (*QUIET, "relaxation=uniform", "epochs=1", *small, "objective=selection/accuracy")
    assert run(monkeypatch, main, *arguments, f"log_dir={tmp_path}") == 0
    metrics = genotype(only_run(tmp_path))["metrics"]
    assert 0 <= metrics["selection/accuracy"] <= 1
    assert {"accuracy/supernet", "selection/seconds", "seconds"} <= set(metrics)


def test_how_a_search_among_architectures_went_is_in_tensorboard(tmp_path, monkeypatch):
    arguments = (
        "epochs=0", "selection=local_search", "estimator@selection.estimator=table", "selection.budget=6",
        "estimator@selection.cost=parameters", "constraint=multiply_adds", "constraint.most=1e6", "constraint.least=1",
        "objective=selection/score", "logger=tensorboard",
    )  # fmt: skip
    assert run(monkeypatch, main, *TINY, *arguments, f"log_dir={tmp_path}") == 0
    folder = only_run(tmp_path)
    board = EventAccumulator(str(folder), size_guidance={"images": 0})
    board.Reload()
    points = board.Scalars("selection/best_so_far")
    assert [point.step for point in points] == [1, 2, 3, 4, 5, 6]
    assert points[-1].value == pytest.approx(max(scores(folder).values()), rel=1e-6)
    assert {"selection/best_so_far", "selection/pareto", "genotype"} <= set(board.Tags()["images"])


def test_a_genotype_of_another_space_in_the_folder_stops_a_resumed_search(finished, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text((finished / "config.yaml").read_text())
    content = genotype(finished) | {"architecture": "|skip~0|"}
    (folder / "genotype.json").write_text(json.dumps(content))
    assert run(monkeypatch, main, f"resume={folder}") == 1
    assert "has no architecture of nasbench201" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("epochs=0",),
            "epochs=0 trains no supernet that an architecture could be read from; use epochs=1 or more, or",
        ),
        (
            ("epochs=0", "selection=evolution"),
            "selection=evolution judges by a trained supernet, and epochs=0 trains none",
        ),
        (("epochs=0", "selection=perturbation"), "or a selection that needs no training, such as selection=sample"),
        (("epochs=-1",), "epochs=-1: it must be a whole number, at least 0"),
        (
            ("epochs=0", "selection=sample"),
            "objective=accuracy/discretized is not measured in this search; use objective=selection/score",
        ),
        (("objective=selection/score",), "is not measured in this search; there are accuracy/supernet, accuracy/disc"),
        (
            ("epochs=0", "selection=sample", "objective=selection/score"),
            "selection: batch_size is 128, but there are 40",
        ),
        (("relaxation=uniform",), "learns no alphas to read an architecture from"),
        (
            ("constraint=parameters", "constraint.most=1e4"),
            "constraint=parameters is for selections that choose among architectures, such as selection=sample or",
        ),
        (
            ("constraint=parameters", "constraint.most=1e4", "selection=perturbation"),
            "and selection=perturbation does not; shrinkage=lissnas leaves only architectures that satisfy it",
        ),
        (
            ("constraint=parameters", "selection=evolution"),
            "constraint.most is needed, or constraint.least; or use constraint=none",
        ),
        (
            (
                "constraint=multiply_adds",
                "constraint.most=10",
                "epochs=0",
                "selection=local_search",
                "objective=selection/score",
                "selection.estimator.batch_size=8",
            ),
            "constraint.most=10: no architecture was found that satisfies it; those of nasbench201 cost from",
        ),
    ],
)
def test_what_could_not_end_is_refused_before_any_work(tmp_path, monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, main, *QUIET, *arguments, f"log_dir={tmp_path}") == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*/runs/*"))


def test_a_rule_for_reading_alphas_is_refused_where_none_are_read(tmp_path, monkeypatch, capsys):
    tiny = [argument for argument in TINY if not argument.startswith("search_space.")]
    rule = ("search_space=darts", "search_space.max_skips=2", "selection=perturbation")
    assert run(monkeypatch, main, *tiny, *rule, f"log_dir={tmp_path}") == 1
    message = "max_skips=2 belongs to the rule by which alphas are read, and selection=perturbation does not read them"
    assert message in capsys.readouterr().err


def test_training_an_architecture_still_needs_epochs(tmp_path, monkeypatch, capsys):
    from supernet.train import main as train

    text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"
    assert run(monkeypatch, train, f"genotype={text}", "data=digits", "epochs=0", f"log_dir={tmp_path}") == 1
    assert "epochs=0: it must be a whole number, at least 1" in capsys.readouterr().err


def test_the_metrics_are_those_of_the_architecture_that_was_chosen():
    search = module()
    fit(search)
    last = search.genotype()
    other = next(one for one in search.space.enumerate() if one.distance(last) == 6 and search.space.is_valid(one))
    metrics = {"accuracy/supernet": 0.75, "accuracy/discretized": 2.0, "benchmark/cifar10": 93.0, "seconds": 1.0}
    found = ending.of_found(metrics, search, other, images())
    network, hits = search.discretized(other), []
    for x, labels in images().batches("valid", shuffle=True):
        hits += (network(x).argmax(dim=1) == labels).tolist()
    assert found["accuracy/discretized"] == pytest.approx(sum(hits) / len(hits))
    assert found["accuracy/discretization_gap"] == pytest.approx(0.75 - found["accuracy/discretized"])
    assert set(found) == {"accuracy/supernet", "accuracy/discretized", "accuracy/discretization_gap", "seconds"}
