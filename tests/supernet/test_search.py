"""The command, run for real on tiny data."""

import csv
import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.search import main
from tests.commands import TINY, only_run, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of one finished search, and what it printed."""
    logs = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, main, *TINY, "relaxation=dirichlet", "formulation=mixed_level", f"log_dir={logs}") == 0
    return only_run(logs)


@pytest.fixture(scope="module")
def events(finished):
    accumulator = EventAccumulator(str(finished), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def test_a_run_leaves_everything_in_one_folder(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"genotype.json", "history.csv", "checkpoints", "config.yaml", "search.log", ".hydra"} <= names
    assert sum(name.startswith("events.out.tfevents") for name in names) == 1
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == ["epoch_0001.ckpt", "epoch_0002.ckpt"]


def test_the_genotype_tells_where_it_comes_from(finished):
    genotype = json.loads((finished / "genotype.json").read_text())
    assert NASBench201().parse(genotype["architecture"])
    assert genotype["search_space"] == "nasbench201"
    assert genotype["arguments"] == {"channels": 4, "cells_per_stage": 1, "in_channels": 3, "num_classes": 3}
    assert genotype["choices"]["relaxation"] == "dirichlet"
    assert genotype["config"]["epochs"] == 2
    assert genotype["metrics"]["seconds"] > 0
    assert 0 <= genotype["metrics"]["accuracy/discretized"] <= 1
    assert {"python", "torch", "supernet"} <= set(genotype["versions"])


def test_history_has_one_row_an_epoch_with_both_levels_and_the_truth(finished):
    with (finished / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        truth = NASBench201Table().query(NASBench201().parse(row["genotype"]), "cifar10").accuracy
        assert float(row["benchmark/cifar10"]) == pytest.approx(truth, abs=1e-3)
        for name in ("loss/weights", "loss/alphas", "accuracy/weights", "accuracy/alphas", "lr/weights", "time/step"):
            assert float(row[name]) >= 0
    genotype = json.loads((finished / "genotype.json").read_text())
    assert rows[-1]["genotype"] == genotype["architecture"]


def test_tensorboard_has_curves_pictures_and_text(events):
    tags = events.Tags()
    expected = {
        "loss/weights", "loss/alphas", "accuracy/weights", "accuracy/alphas", "accuracy/supernet",
        "accuracy/discretized", "accuracy/discretization_gap", "alpha/cell/entropy", "alpha/cell/margin",
        "lr/weights", "lr/alphas", "benchmark/cifar10", "time/step",
    }  # fmt: skip
    assert expected <= set(tags["scalars"])
    assert {"alpha/cell", "genotype"} <= set(tags["images"])
    assert "genotype/text_summary" in tags["tensors"]
    assert [event.step for event in events.Scalars("accuracy/supernet")] == [4, 9]  # batches, five an epoch, from 0


def test_the_hparams_tab_has_settings_and_final_results_and_no_fake_point(events, finished):
    metadata = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert "_hparams_/experiment" not in events.summary_metadata
    for setting in (b"relaxation", b"dirichlet", b"formulation", b"mixed_level", b"seed"):
        assert setting in metadata
    assert "_hparams_/session_end_info" in events.summary_metadata
    genotype = json.loads((finished / "genotype.json").read_text())
    final = events.Scalars("accuracy/supernet")[-1]  # what the tab shows
    assert final.value == pytest.approx(genotype["metrics"]["accuracy/supernet"])
    assert "hp_metric" not in events.Tags()["scalars"]


def test_resuming_a_finished_run_changes_nothing(finished, monkeypatch, capsys):
    kept = ("genotype.json", "history.csv")
    before = {name: (finished / name).read_text() for name in kept}
    assert run(monkeypatch, main, f"resume={finished}") == 0
    assert {name: (finished / name).read_text() for name in kept} == before
    assert "table: cifar10" in capsys.readouterr().out


def test_the_same_seed_finds_the_same_and_the_table_is_never_used(finished, tmp_path, monkeypatch, capsys):
    arguments = (*TINY, "relaxation=dirichlet", "formulation=mixed_level", f"log_dir={tmp_path}", "benchmark=none")
    assert run(monkeypatch, main, *arguments) == 0
    assert "table" not in capsys.readouterr().out
    one, same = (json.loads((folder / "genotype.json").read_text()) for folder in (finished, only_run(tmp_path)))
    assert one["architecture"] == same["architecture"]
    left_out = ("seconds", "time/step")
    assert {k: v for k, v in one["metrics"].items() if not k.startswith(("benchmark/", *left_out))} == {
        k: v for k, v in same["metrics"].items() if not k.startswith(left_out)
    }


def test_debug_is_fast_and_a_sweep_runs_each_job_in_its_own_folder(tmp_path, monkeypatch):
    short = [argument for argument in TINY if not argument.startswith("epochs")]
    assert run(monkeypatch, main, "-m", *short, "debug=fast", f"log_dir={tmp_path}", "seed=1,2") == 0
    folders = sorted(path.parent for path in tmp_path.glob("search/multiruns/*/*/genotype.json"))
    assert [folder.name for folder in folders] == ["0", "1"]
    seeds = [json.loads((folder / "genotype.json").read_text())["config"]["seed"] for folder in folders]
    assert seeds == [1, 2]
    assert all(len((folder / "history.csv").read_text().splitlines()) == 2 for folder in folders)  # one epoch


def test_a_network_that_cannot_learn_is_called_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(NASBench201, "is_valid", lambda space, architecture: False)
    assert run(monkeypatch, main, *TINY, "epochs=1", f"log_dir={tmp_path}") == 0
    assert "does not depend on its input, so it cannot learn; try more epochs" in capsys.readouterr().out


def test_a_folder_that_has_a_run_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.yaml").write_text("epochs: 1\n")
    assert run(monkeypatch, main, *TINY, f"hydra.run.dir={tmp_path}") == 1
    assert f"has a run already; go on with resume={tmp_path}, or choose another folder" in capsys.readouterr().err
    assert (tmp_path / "config.yaml").read_text() == "epochs: 1\n"
