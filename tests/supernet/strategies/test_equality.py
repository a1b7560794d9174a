"""Two processes that share every batch, and its batch-norm statistics, search and train as one does."""

import pytest
import torch

from supernet import search, train
from tests.commands import TINY, run
from tests.contracts.test_experiments import EXPERIMENTS, SMALL, size
from tests.supernet.strategies.joint import differences, twins

TRAINED = [name for name in EXPERIMENTS if "epochs=0" not in SMALL.get(name, ())]
# One of each kind of mathematics, and what changes the supernet; the others are in the slow test.
QUICK = ("drnas_progressive", "gdas", "robust_darts")
TRAINING = "training"
CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"  # the first leads nowhere
A_TRAINING = (*TINY, f"genotype={CELL}", "trainer.precision=64-true", "logger=none")


def settings(name: str) -> tuple[str, ...]:
    # In float64, so that a difference is one of the mathematics; weights inherited by a selection are float32.
    precision = "32-true" if name.endswith("spos") else "64-true"
    common = ("debug=tiny", size(name), "trainer=cpu", "logger=none", f"trainer.precision={precision}")
    return (f"experiment={name}", *common, *SMALL.get(name, ()))


def check(names, folder):
    runs = {name: folder / name.replace("/", "_") for name in names}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, place in runs.items():
            main, arguments = (train.main, A_TRAINING) if name == TRAINING else (search.main, settings(name))
            assert run(monkeypatch, main, *arguments, f"hydra.run.dir={place}") == 0
    for name, twin in twins(runs).items():
        found = differences(runs[name], twin)
        assert name == TRAINING or found.pop("genotype") == "", name
        tolerance = 1e-5 if name.endswith("spos") else 1e-12
        worst = max(found, key=lambda column: found[column])
        assert found[worst] <= tolerance, f"{name}: {worst} differs by {found[worst]}"


def test_searches_and_a_training_are_those_of_one_process(tmp_path):
    check((*QUICK, TRAINING), tmp_path)
    assert torch.get_default_dtype() == torch.float32


OTHERS = [name for name in TRAINED if name not in QUICK]


@pytest.mark.slow
@pytest.mark.timeout(900)  # two minutes where nothing else is to be done
@pytest.mark.parametrize("names", [OTHERS[first : first + 4] for first in range(0, len(OTHERS), 4)], ids=" ".join)
def test_every_experiment_is_that_of_one_process(names, tmp_path):
    check(names, tmp_path)
