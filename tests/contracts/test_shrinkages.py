"""What holds for every shrinkage under ``conf/shrinkage``."""

from __future__ import annotations

import functools

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet.drawing import to_array
from supernet.errors import UserError
from supernet.estimators.cost import Cost
from supernet.shrinkage import record
from supernet.shrinkage.report import report
from supernet.warm_start.alphas import starting_alphas
from supernet.warm_start.picture import draw_outcome
from tests.contracts.configurations import build, composed, names
from tests.supernet.estimators.tasks import task
from tests.supernet.searches import module, random_batches, steps

NAMES = [name for name in names("shrinkage") if name != "none"]
TINY = {
    "n_archs": 12,
    "smallest": 8,
    "neighbours": 4,
    "rounds": 2,
    "size": 8,
    "keep": 2,
    "workers": 1,
    "channels": 4,
    "steps": 2,
    "batch_size": 4,
    "drop": 0.3,
}
SPACES = {
    "nasbench201": NASBench201(channels=4, cells_per_stage=1, num_classes=3),
    "darts": DARTS(channels=4, layers=3, num_classes=3),
    "robust_darts_s4": RobustDARTS("s4", channels=4, layers=3, num_classes=3),
    "nasbench_macro": NASBenchMacro(channels=4, num_classes=3),
    "nasbench1shot1_1": NASBench1Shot1(1, channels=4, layers=3, num_classes=3),
}
PAIRS = [(name, space) for name in NAMES for space in SPACES if name != "deisomorphic" or SPACES[space].size() < 1e5]


def shrinkage(name: str, *overrides: str, **changes):
    """The file with small numbers and the number of parameters for a score."""
    estimator = ["estimator@shrinkage.estimator=parameters"] if "estimator" in settings(name) else []
    cfg = composed("search", f"shrinkage={name}", *estimator, "run_dir=.", *overrides).shrinkage
    small = {key: value for key, value in TINY.items() if key in cfg}
    folder = {"folder": None} if "folder" in cfg else {}
    return instantiate(OmegaConf.merge(cfg, small, folder, changes))


@functools.cache
def settings(name: str):
    return composed("search", f"shrinkage={name}", "run_dir=.").shrinkage


@functools.cache
def outcome(name: str, space: str):
    return shrinkage(name)(task(SPACES[space], size=16))


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_what_is_left_of_every_space_is_a_smaller_space_that_can_be_searched(name, space):
    before, found = SPACES[space], outcome(name, space)
    after = found.space
    assert after.arguments == before.arguments
    assert after.size() < before.size() or name in ("operations", "angle")  # edges may have no more
    assert (after.pool is not None) == shrinkage(name).leaves_pool
    if after.pool is not None:
        assert all(map(before.is_valid, after.pool))
        assert found.values is None or len(found.values) == len(after.pool)
    for cell in before.edges:
        assert not (after.allowed[cell] & ~before.allowed[cell]).any()
    weights = {cell: torch.rand(table.shape) * table for cell, table in after.allowed.items()}
    assert after.supernet()(torch.randn(2, 3, 16, 16), weights).shape == (2, 3)
    assert after.contains(after.decode(weights))


@pytest.mark.parametrize(
    ("name", "space", "relaxation"),
    [("random", space, relaxation) for space in SPACES for relaxation in names("relaxation")]
    + [
        (name, "nasbench201", relaxation) for name in NAMES for relaxation in ("softmax", "uniform") if name != "random"
    ],
)
def test_every_relaxation_trains_in_what_is_left(name, space, relaxation):
    found = outcome(name, space)
    search = module(build("relaxation", relaxation), space=found.space)
    if found.start is not None and search.relaxation.learns:
        search.alphas.start_at(starting_alphas(search.relaxation, found.start, found.space.allowed))
    before = [weight.clone() for weight in search.weights]
    steps(search, random_batches(1, torch.float32, size=16))
    assert all(p.isfinite().all() for p in search.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, search.weights, strict=True))
    assert found.space.contains(search.genotype())


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_what_was_found_is_read_back_drawn_and_a_function_of_the_seed(name, space, tmp_path):
    before, found = SPACES[space], outcome(name, space)
    record.save(tmp_path, before, found, name, {}, report(before, found.space))
    again = record.load(tmp_path / record.FILE, before)
    assert again.space.pool == found.space.pool
    assert all(torch.equal(again.space.allowed[cell], found.space.allowed[cell]) for cell in before.edges)
    assert to_array(draw_outcome(before, found)).ndim == 3
    if space in ("nasbench201", "robust_darts_s4"):
        assert shrinkage(name)(task(before, size=16)).space.pool == found.space.pool


@pytest.mark.parametrize("name", [name for name in NAMES if "constraint" in settings(name)])
def test_the_constraint_of_the_search_holds_and_is_checked_before_any_work(name):
    space = SPACES["nasbench201"]
    with pytest.raises(UserError, match="no architecture was found that satisfies it"):
        shrinkage(name, "constraint=parameters", "constraint.most=3").check(task(space))
    if shrinkage(name).leaves_pool:
        cost = Cost(task(space), "parameters")
        some = list(filter(space.is_valid, space.sample(99, torch.Generator().manual_seed(0))))
        (middle,) = sorted(map(cost.measurements, some))[len(some) // 2]
        left = shrinkage(name, "constraint=parameters", f"constraint.most={middle}")(task(space)).space
        assert all(cost.measurements(one) <= (middle,) for one in left.pool)
