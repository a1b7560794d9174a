import json

import pytest

from supernet.latency import main
from supernet.search import main as search
from tests.commands import QUIET, only_run, run

FAST = (
    "search_space.channels=4", "search_space.cells_per_stage=1", "search_space.num_classes=3", "size=8",
    "architectures=2", "repeats=2", "accelerator=cpu", "threads=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latency")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, main, *FAST, f"log_dir={folder}") == 0
    return only_run(folder)


def test_the_times_and_what_they_were_measured_on_are_written(table):
    content = json.loads((table / "latency.json").read_text())
    assert content["search_space"] == "nasbench201"
    assert content["image"] == [3, 8, 8]
    assert content["arguments"]["channels"] == 4
    assert content["batch_size"] == content["threads"] == 1
    assert content["device"]
    assert content["versions"]["torch"]
    assert len(content["operations"]) == 3 * 4
    assert (table / "latency.csv").read_text().count("\n") == 1 + 3 * 4


def test_the_slowest_operations_and_the_next_command_are_shown(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *FAST, f"log_dir={tmp_path}", "batch_size=2") == 0
    shown = capsys.readouterr().out
    assert "The slowest of 12 operations" in " ".join(shown.split())
    assert "nor_conv_3x3" in shown
    assert "whole networks: off by" in shown
    assert f"cost=latency cost.path={only_run(tmp_path)}" in shown


def test_a_search_minds_the_measured_latency(table, tmp_path, monkeypatch):
    arguments = (*QUIET, f"log_dir={tmp_path}", "epochs=1", "cost=latency", f"cost.path={table}")
    assert run(monkeypatch, search, *arguments) == 0
    assert (only_run(tmp_path) / "genotype.json").is_file()


def test_a_search_for_another_network_says_how_to_measure_it(table, tmp_path, monkeypatch, capsys):
    arguments = (*QUIET, f"log_dir={tmp_path}", "cost=latency", f"cost.path={table}", "search_space.channels=5")
    assert run(monkeypatch, search, *arguments) == 1
    message = capsys.readouterr().err
    assert "measure this one with: python -m supernet.latency search_space=nasbench201" in message
    assert "search_space.channels=5" in message
    assert "cost.network.channels=4" in message
    assert not list(tmp_path.glob("*/runs/*"))


@pytest.mark.parametrize(("setting", "message"), [
    ("accelerator=gpu", "it must be auto, cpu or cuda"),
    ("repeats=0", "repeats=0: it must be a whole number, at least 1"),
    ("architectures=1", "architectures=1: it must be a whole number, at least 2"),
    ("threads=x", "threads=x: it must be a whole number"),
    ("batch_size=0", "batch_size=0"),
    ("size=[8]", "give one number of pixels, size=64"),
    ("size=0", "give one number of pixels"),
    ("search_space.channels=0", "channels is 0"),
])  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(setting, message, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, *FAST, f"log_dir={tmp_path}", setting) == 1
    assert message in capsys.readouterr().err


def test_a_missing_device_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run(monkeypatch, main, *FAST, f"log_dir={tmp_path}", "accelerator=cuda") == 1
    assert "use accelerator=cpu" in capsys.readouterr().err
