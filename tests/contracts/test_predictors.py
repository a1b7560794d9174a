"""What holds for every model under ``conf/model`` and every set of features under ``conf/features``."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from scipy.stats import kendalltau

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from tests.contracts.configurations import composed, names
from tests.supernet.estimators.predictors.examples import accuracies, architectures
from tests.supernet.estimators.tasks import SMALL, task

FEATURES = [name for name in names("features") if name not in ("none", "scores")]
CHEAP = [name for name in FEATURES if "proxies" not in name]
MODELS = [
    pytest.param(name, marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"{name} is not installed"))
    if name in ("xgboost", "lightgbm")
    else name
    for name in names("model")
]
SPACES = [
    SMALL, DARTS(channels=4, layers=3), RobustDARTS("s1", channels=4, layers=3), NASBenchMacro(channels=4),
    NASBench1Shot1(3, channels=4, layers=3),
]  # fmt: skip
SOME, REST = architectures(60), architectures(120)[60:]


def features(name, space=SMALL):
    factory = instantiate(composed("fit", f"features={name}").features)
    return factory(task(space, size=16)) if factory else None


def model(name, described=None, space=SMALL, seed=0):
    settings = ("model.epochs=30", "model.lr=0.01", "model.width=16") if name == "graph_network" else ()
    return instantiate(composed("fit", f"model={name}", *settings).model)(task(space, seed=seed), described)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("name", CHEAP)
def test_features_of_every_space_have_different_names_and_do_not_depend_on_the_company(name, space):
    made = features(name, space)
    some = space.sample(6, torch.Generator().manual_seed(0))
    table = made.table(some)
    assert table.shape == (6, len(made.names))
    assert table.dtype == np.float64
    assert np.isfinite(table).all()
    assert len(set(made.names)) == len(made.names)
    assert np.array_equal(np.vstack([made.table([one]) for one in reversed(some)])[::-1], table)
    assert made.table([]).shape == (0, len(made.names))
    assert len(np.unique(table, axis=0)) == len(set(some))


@pytest.mark.parametrize("name", sorted(set(FEATURES) - set(CHEAP)))
def test_proxies_can_be_features(name):
    made = features(name)
    (row,) = made.table(REST[:1])
    assert made.costly
    assert all(map(math.isfinite, row))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_and_a_fit_is_a_function_of_data_and_seed(name):
    described = None if name == "graph_network" else features("one_hot")
    made = model(name, described)
    scores = made.fit(SOME, accuracies(SOME)).score(REST)
    assert scores.dtype == torch.float64
    assert kendalltau(scores.numpy(), accuracies(REST)).statistic > 0.4
    assert torch.equal(model(name, described).fit(SOME, accuracies(SOME)).score(REST), scores)
    made.fit(SOME[:30], -accuracies(SOME[:30]))
    assert torch.equal(made.fit(SOME, accuracies(SOME)).score(REST), scores)  # nothing of the fit before is left


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_says_of_itself_has_the_promised_form(name):
    made = model(name, None if name == "graph_network" else features("graf")).fit(SOME, accuracies(SOME))
    deviation, importances = made.deviation(REST), made.importances()
    assert deviation is None or (deviation.shape == (len(REST),) and bool((deviation > 0).all()))
    assert (deviation is not None) == (name in ("forest", "gaussian_process"))
    if importances is not None:
        assert list(importances) == list(features("graf").names)
        assert sum(importances.values()) == pytest.approx(1)
        assert min(importances.values()) >= 0


@pytest.mark.parametrize("space", SPACES[1:], ids=lambda space: space.name)
@pytest.mark.parametrize("name", ["forest", "graph_network"])
def test_every_space_can_be_learnt(name, space):
    some = space.sample(40, torch.Generator().manual_seed(0))
    values = [float(sum(choice * choice for choice in one.choices[0][1])) for one in some]
    made = model(name, None if name == "graph_network" else features("graf", space), space).fit(some, values)
    assert kendalltau(made.score(some).numpy(), values).statistic > 0.4
