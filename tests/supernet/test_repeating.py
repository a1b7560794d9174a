"""What a sweep was told is told again, and nothing that could do harm."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from supernet.errors import UserError
from supernet.launch import CONF
from supernet.repeating import repeated
from supernet.sweeps import SWEEP


def record(folder: Path, **changes) -> Path:
    """A sweep's folder with nothing but its record."""
    folder.mkdir(exist_ok=True)
    content = {"task": ["seed=0,1"], "hydra": [], "params": {}, "config": {}, **changes}
    (folder / SWEEP).write_text(yaml.safe_dump(content))
    return folder


def test_what_is_said_now_is_how_it_runs_and_the_rest_is_as_it_was(tmp_path):
    saved = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.mode=MULTIRUN", "hydra.sweep.dir=/old",
             "hydra.sweeper.n_trials=9"]  # fmt: skip
    folder = record(tmp_path / "s", hydra=saved)
    expected = ["--multirun", "seed=0,1", *saved[:2], saved[4], f'hydra.sweep.dir="{folder}"']
    assert repeated(folder, ["-m", f"resume={folder}"], [CONF]) == expected
    now = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu"]
    expected = ["--multirun", "seed=0,1", saved[4], *now, f'hydra.sweep.dir="{folder}"']
    assert repeated(folder, [f"resume={folder}", *now], [CONF]) == expected
    with pytest.raises(UserError, match="drop epochs=3"):
        repeated(folder, [f"resume={folder}", "epochs=3"], [CONF])


@pytest.mark.parametrize(
    "task",
    ["+callbacks.x={_target_: os.system, command: ls}", "data._target_=os.system", "log_dir=${oc.env:HOME}",
     "data.download=true", "relaxation={_target_: a.b},{_target_: c.d}", "optimizer='${oc.create:x}',b"],
)  # fmt: skip
def test_a_record_that_could_do_harm_is_refused(task, tmp_path):
    with pytest.raises(UserError, match=r"wants to|refer to its own"):
        repeated(record(tmp_path / "s", task=[task]), [], [CONF])


@pytest.mark.parametrize(
    "one",
    ["hydra.launcher.setup=[ls]", "hydra.callbacks.x._target_=os.system", "hydra.launcher._target_=a.b",
     "hydra.sweeper.custom_search_space=os.system", "hydra.launcher.partition=a\nls", "hydra.job.env_set.A=b",
     "hydra.sweep.subdir=${oc.env:HOME}", "hydra.launcher.additional_parameters={a: b}"],
)  # fmt: skip
def test_of_hydras_own_settings_only_plain_values_for_launcher_and_sweeper_are_taken(one, tmp_path):
    folder = record(tmp_path / "s", hydra=[one])
    with pytest.raises(UserError, match="is not taken from a file: give"):
        repeated(folder, [], [CONF])
    again = f"{one.partition('=')[0]}=mine"
    assert again in repeated(folder, [again], [CONF])


def test_what_this_project_names_may_be_repeated(tmp_path):
    target = "supernet.relaxations.softmax.Softmax"
    folder = record(tmp_path / "s", task=[f"relaxation._target_={target}", "a=${seed}", "x='a b',c"],
                    hydra=["hydra.sweep.subdir=${hydra:job.num}"])  # fmt: skip
    assert len(repeated(folder, [], [CONF])) == 6


@pytest.mark.parametrize("content", ["", "[", "- a", "task: 3", "task: []\nhydra: []\nparams: {}"])
def test_a_record_that_is_none_is_refused(content, tmp_path):
    (tmp_path / SWEEP).write_text(content)
    with pytest.raises(UserError, match=r"sweep\.yaml"):
        repeated(tmp_path, [], [CONF])
