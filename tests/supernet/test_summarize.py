import pytest

from supernet.summarize import main
from tests.commands import run
from tests.supernet.evaluation.runs import search_run, train_run


def test_a_folder_of_runs_ends_in_a_table_three_files_and_the_reasons(tmp_path, monkeypatch, capsys):
    search_run(tmp_path / "0", "seed=0", "relaxation=softmax", value=0.25)
    search_run(tmp_path / "1", "seed=1", "relaxation=softmax", value=0.75)
    search_run(tmp_path / "2", "seed=0", "relaxation=gumbel", reason="broken [on] purpose")
    assert run(monkeypatch, main, str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "50.00 ± 35.36" in out.replace("\n", "")
    assert "2 (relaxation=gumbel seed=0) failed: broken [on] purpose" in out
    assert "go on with" not in out  # it is no sweep
    assert (tmp_path / "summary.png").read_bytes().startswith(b"\x89PNG")
    assert "softmax" in (tmp_path / "summary.csv").read_text()
    assert "broken [on] purpose" in (tmp_path / "summary.md").read_text()


def test_single_trainings_are_summarised_too(tmp_path, monkeypatch, capsys):
    train_run(tmp_path / "2026-01-01", "seed=0", "genotype=drnas", accuracy=0.5)
    assert run(monkeypatch, main, str(tmp_path)) == 0
    assert "test_accuracy" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(("folder", "message"), [("nowhere", "there is no such folder"), (".", "has no folders of")])
def test_a_folder_without_runs_is_refused(folder, message, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, main, str(tmp_path / folder)) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_has_examples(monkeypatch, capsys):
    assert run(monkeypatch, main, "--help") == 0
    assert "python -m supernet.summarize logs/search/multiruns/<time>" in capsys.readouterr().out
