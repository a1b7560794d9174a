"""A newcomer who does exactly what docs/extending.md says gets a search that runs."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from supernet.search import main as search
from supernet.train import main as train
from tests.commands import run

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
TINY = (
    "data=synthetic", "data.num_images=80", "data.size=8", "data.num_classes=3", "batch_size=8", "trainer=cpu",
    "search_space.channels=4", "epochs=1", "logger=none",
)  # fmt: skip


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """A folder with every file the page shows, at the place its first line names."""
    for language, text in BLOCK.findall(PAGE):
        if language:
            name = text.partition("\n")[0].removeprefix("# ")
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


COMMANDS = [line for language, text in BLOCK.findall(PAGE) if not language for line in text.strip().splitlines()]


def test_the_page_has_a_command_for_each_kind_of_extension():
    assert len(COMMANDS) == 5
    assert all("--config-dir my_configs" in command for command in COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if "search.py" in command])
def test_a_command_of_the_page_runs(command, newcomer, monkeypatch):
    arguments = shlex.split(command)[2:]
    assert run(monkeypatch, search, *arguments, *TINY, "hydra.run.dir=run") == 0
    assert (newcomer / "run" / "genotype.json").is_file()


def test_what_was_found_in_ones_own_space_trains(newcomer, monkeypatch):
    before, after = (shlex.split(command)[2:] for command in COMMANDS[-2:])
    assert run(monkeypatch, search, *before, *TINY, "hydra.run.dir=run") == 0
    after = [a if not a.startswith("genotype=") else "genotype=run" for a in after]
    small = ("epochs=1", "batch_size=8", "trainer=cpu", "logger=none", "search_space.channels=4")
    assert run(monkeypatch, train, *after, *small, "hydra.run.dir=trained") == 0
    assert (newcomer / "trained" / "metrics.json").is_file()
