"""A mistake gives one line that names the remedy, a non-zero status, and leaves nothing behind."""

import errno
import re
import subprocess
import sys

import pytest
from PIL import Image

from supernet import evaluate, fit, latency, search, train
from supernet.launch import explain, known_keys, launch
from tests.commands import QUIET, TINY, run

GOOD = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
SEARCH = [
    (("relaxtion=dirichlet",), r"relaxtion: no such setting; did you mean relaxation"),
    (("relaxation=dirchlet",), r"relaxation=dirchlet: no such choice; did you mean dirichlet\? there are dirichlet"),
    (("formulation.lambda_trian=1",), r"formulation.lambda_trian: the chosen formulation has no such setting; there"),
    (
        ("search_space=darts", "search_space.cells_per_stage=3"),
        r"cells_per_stage: the chosen search_space has no such se",
    ),
    (("relaxation=dirichlet", "relaxation.anchor=l3"), r"relaxation: anchor is 'l3': it must be 'l2' or 'kl'"),
    (("epohcs=3",), r"epohcs: no such setting; did you mean epochs"),
    (("epochs=0",), r"epochs=0 trains no supernet .* use epochs=1 or more, or a selection that needs no training"),
    (("epochs=many",), r"epochs=many: it must be a whole number"),
    (
        (
            "experiment=te_nas",
            "epochs=0",
            "selection.estimators.ntk_condition.batch_size=8",
            "estimator@selection.estimators.linear_regions=parameters",
        ),
        r"selection: linear_regions cannot look at a supernet; choose a training-free score",
    ),
    (("seed=-1",), r"seed=-1: it must be"),
    (("clip=-1",), r"clip=-1: it must be a number, at least 0"),
    (("clip=abc",), r"clip=abc: it must be a number"),
    (("partial_channels=3",), r"does not divide the 4 channels of a cell; use a number that does, or 1"),
    (("warmup_epochs=30",), r"warmup_epochs=30 leaves none of epochs=\d+ for the alphas"),
    (("benchmark=nasbench301",), r"benchmark=nasbench301: no such choice; there are nasbench201, none"),
    (("estimator=naswot",), r"this command has no such group; .* estimator@selection.estimator=naswot"),
    (("weight_optimizer=adam",), r"weight_optimizer=adam: .* given as optimizer@weight_optimizer=adam"),
    (("warm_start=proxy", "warm_start.estimator=naswot"), r"given as estimator@warm_start.estimator=naswot"),
    (("callbacks=[default,progresive]",), r"callbacks=progresive: no such choice; did you mean progressive\?"),
    (("scheduler.eta_min=abc",), r"an optimizer or its scheduler cannot be built"),
    (("debug=null",), r"a group cannot be null: leave it out"),
    (("--cfg", "job", "-m"), r"--cfg shows the configuration of a single run; leave out -m"),
    (("trainer.max_epochs=3",), r"trainer.max_epochs=3: use epochs=3"),
    (("trainer.strategy=ddp",), r"trainer.strategy: .* use trainer=ddp"),
    (("cuda_graphs=maybe",), r"cuda_graphs=maybe: it must be true or false"),
    (("trainer.limit_val_batches=0",), r"trainer.limit_val_batches=0 leaves nothing to measure"),
    (("trainer.devices=3",), r"batch_size=8 cannot be shared by 3 processes"),
    (("trainer.precision=bf16-true",), r"bf16-true would round"),
    (("weight_optimizer.lr=-1",), r"an optimizer or its scheduler cannot be built: Invalid learning rate"),
    (("weight_optimizer.momentum=[1]",), r"an optimizer or its scheduler cannot be built"),
    (
        ("objective=accuracy/best",),
        r"objective=accuracy/best is not measured in this search; there are accuracy/supernet",
    ),
    (("data=image_folder",), r"data.root is needed; give it on the command line: data.root="),
    (("data=image_folder", "data.root=/nowhere/at/all"), r"/nowhere/at/all"),
    (("search_space.num_classes=4",), r"search_space.num_classes=4, but the images have 3; leave it out"),
    (("search_space.channels=0",), r"search_space: channels is 0: it must be at least 1"),
    (("batch_size=1000",), r"data.batch_size=1000, but the half .* use data.batch_size=40 or less"),
    (("trainer.precision=16-mixed",), r"16-mixed.*use trainer.precision=bf16-mixed"),
    (("arch_precision=bf16-mixed",), r"is a part of trainer\.precision=bf16-mixed"),
    (("recompute=layer",), r"what is computed anew is cell or operation"),
    (
        ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.sync_batchnorm=true", "compile=true"),
        "leave one",
    ),
    (("trainer.precision=17",), r"trainer: "),
    (("resume=/nowhere/at/all",), r"resume=/nowhere/at/all: there is no such folder"),
    (("hydra/sweeper=optun",), r"did you mean optuna\?.*pip install 'supernet\[sweeps\]'"),
    (("a b=c",), r"a setting is given as name=value"),
]
TRAIN = [
    ((), r"genotype is needed; give it on the command line: genotype="),
    (("genotype=/nowhere/at/all",), r"genotype=/nowhere/at/all: there is no such file or folder"),
    ((f"genotype={GOOD}",), r"which data\?"),
    (("genotype=" + GOOD.replace("none~1", "none~0", 1), "data=digits"), r"node 2, token 'none~0'"),
    (("genotype=", "data=digits"), r"genotype= is empty|genotype is needed"),
    (("genotype=~nobody-at-all", "data=digits"), r"1 nodes joined by"),
    (("genotype=" + "a" * 3000, "data=digits"), r"1 nodes joined by"),
    (("genotype=darts_v3", "data=digits"), r"genotype=darts_v3: there is no such published.*did you mean darts_v"),
    (("genotype=darts_v1,drnas", "data=digits"), r"to train one after the other, add -m"),
    (("genotype=darts_v2",), r"which data\?"),
    (("genotype=darts_v2", "data=digits", "search_space=nasbench201"), r"is of the space darts, not nasbench201; use"),
    (("genotype=darts_v2", "data=digits", "recipe=dart"), r"recipe=dart: no such choice; did you mean darts\?"),
    ((f"genotype={GOOD}", "data=digits", "recipe=darts"), r"'layers'; recipe=darts is for another search space"),
    (("genotype=darts_v2", "data=digits", "drop_path=1"), r"drop_path=1: it must be a number, at least 0 and less"),
    (("genotype=drnas", "recipe=darts_imagenet"), r"data.root is needed; give it on the command line: data.root="),
    ((f"genotype={GOOD}", "data.size=4"), r"data.size: the chosen data has no such setting; there are data=cifar10"),
]


def complains(monkeypatch, capsys, main, *arguments) -> str:
    assert run(monkeypatch, main, *arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(("arguments", "message"), SEARCH, ids=[" ".join(a) for a, _ in SEARCH])
def test_a_mistake_in_a_search(arguments, message, monkeypatch, capsys, tmp_path):
    tiny = TINY if not any(a.startswith("data=") for a in arguments) else ("epochs=1",)
    arguments = arguments if "resume" in arguments[0] else (*tiny, *arguments, f"log_dir={tmp_path}")
    line = complains(monkeypatch, capsys, search.main, *arguments)
    assert re.search(message, line), line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("arguments", "message"), TRAIN, ids=[" ".join(a) for a, _ in TRAIN])
def test_a_mistake_in_a_training(arguments, message, monkeypatch, capsys, tmp_path):
    line = complains(monkeypatch, capsys, train.main, *arguments, f"log_dir={tmp_path}")
    assert re.search(message, line), line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_corrupt_image_is_named(monkeypatch, capsys, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "images" / name / f"{index}.png")
    broken = tmp_path / "images" / "dogs" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    arguments = ("data=image_folder", f"data.root={tmp_path}/images", "epochs=1", f"log_dir={tmp_path}/logs")
    assert str(broken) in complains(monkeypatch, capsys, search.main, *arguments)
    assert not [path for path in (tmp_path / "logs").rglob("*") if path.is_file()]


def test_an_empty_image_folder_says_what_is_expected(monkeypatch, capsys, tmp_path):
    (tmp_path / "images").mkdir()
    arguments = ("data=image_folder", f"data.root={tmp_path}/images", f"log_dir={tmp_path}/logs")
    assert "train/" in complains(monkeypatch, capsys, search.main, *arguments)


def test_a_folder_that_is_no_run_cannot_be_resumed(monkeypatch, capsys, tmp_path):
    line = complains(monkeypatch, capsys, search.main, f"resume={tmp_path}")
    assert "it has no config.yaml" in line


def test_a_folder_that_is_no_run_is_left_alone(monkeypatch, capsys, tmp_path):
    complains(monkeypatch, capsys, search.main, f"resume={tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_resume_does_not_mix_with_other_settings(monkeypatch, capsys, tmp_path):
    line = complains(monkeypatch, capsys, search.main, f"resume={tmp_path}", "epochs=3")
    assert "drop epochs=3" in line


def test_no_space_left_names_the_remedy():
    full = OSError(errno.ENOSPC, "No space left on device", "/logs/x")
    assert explain(full, "search") == ("no space left on the device for /logs/x; free some, or choose another log_dir=")
    assert "log_dir=" in explain(PermissionError(errno.EACCES, "Permission denied", "/logs"), "search")


def test_a_defect_of_the_program_is_not_hidden():
    assert explain(ZeroDivisionError("division by zero"), "search") is None


def test_no_space_left_in_the_middle_of_a_run_keeps_what_there_is(monkeypatch, capsys, tmp_path):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "history.csv")

    monkeypatch.setattr("supernet.callbacks.history.write_atomically", full)
    line = complains(monkeypatch, capsys, search.main, *QUIET, f"log_dir={tmp_path}")
    assert "no space left" in line
    assert "go on with resume=" in line


def given(monkeypatch, folder, *arguments) -> list:
    """What the command line sets, in a single run or each of a sweep."""
    seen: list = []
    folders = (f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}")
    run(monkeypatch, lambda: launch(seen.append, "evaluate"), *arguments, "estimator=latency", *folders)
    return seen


@pytest.mark.parametrize("name", ["my file (1).csv", "a,b.csv", "a=b.csv", "ä.csv", "1.5.csv", "run [2]", "c.csv", "2"])
def test_paths_are_taken_as_they_are(name, monkeypatch, tmp_path):
    settings = (f"architectures=c/{name}", f"estimator.path=c/{name}")
    (cfg,) = given(monkeypatch, tmp_path, *settings)
    assert cfg.architectures == cfg.estimator.path == f"c/{name}"


def test_numbers_and_what_is_left_out_are_no_paths(monkeypatch, tmp_path):
    (cfg,) = given(monkeypatch, tmp_path / "a", "architectures=1_000", "estimator.path=null")
    assert cfg.architectures == 1000
    assert cfg.estimator.path is None
    (cfg,) = given(monkeypatch, tmp_path / "b", "architectures=all")
    assert cfg.architectures == "all"
    several = given(monkeypatch, tmp_path / "c", "-m", "architectures=40,all,c/archs.csv")
    assert [cfg.architectures for cfg in several] == [40, "all", "c/archs.csv"]


def test_known_keys_are_dotted_and_hide_what_is_internal():
    keys = known_keys("search")
    assert {"epochs", "data.batch_size", "weight_optimizer.lr", "relaxation"} <= set(keys)
    assert not any("_target_" in key for key in keys)


@pytest.mark.parametrize(
    ("main", "example"),
    [
        (search.main, "python search.py resume="),
        (train.main, "python train.py genotype="),
        (evaluate.main, "python -m supernet.evaluate -m estimator="),
        (fit.main, "python -m supernet.fit trained="),
        (latency.main, "python -m supernet.latency search_space="),
    ],
)
def test_help_shows_examples_groups_and_settings(main, example, monkeypatch, capsys):
    assert run(monkeypatch, main, "--help") == 0
    out = capsys.readouterr().out
    for part in (
        example,
        "relaxation: dirichlet, ",
        "seed: 0",
        "--config-dir",
    ):
        assert part in out


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m supernet.latency --help | head -n 1"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("Measures")
    assert "Traceback" not in found.stderr
