"""What holds for every warm start under ``conf/warm_start``."""

from __future__ import annotations

import functools

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet.drawing import to_array
from supernet.warm_start import record
from supernet.warm_start.alphas import starting_alphas
from supernet.warm_start.base import CUTTING, WarmStart, dropped
from supernet.warm_start.picture import draw_outcome
from tests.contracts.configurations import build, composed, names
from tests.supernet.estimators.tasks import task
from tests.supernet.searches import module, random_batches, steps

NAMES = [name for name in names("warm_start") if name != "none"]
TINY = {"n_archs": 8, "n_seeds": 1, "workers": 1, "channels": 4, "batch_size": 8, "gram_batch": 8, "image_size": 8}
DROPPING = [name for name in NAMES if name not in ("largest", "rule", "architectures_pool")]  # by their scores
SPACES = {
    "nasbench201": NASBench201(channels=4, cells_per_stage=1),
    "darts": DARTS(channels=4, layers=3),
    "robust_darts_s4": RobustDARTS("s4", channels=4, layers=3),
    "nasbench_macro": NASBenchMacro(channels=4),
    "nasbench1shot1_1": NASBench1Shot1(1, channels=4, layers=3),
}
THREE = NASBench201(channels=4, cells_per_stage=1, num_classes=3)  # as the searches of the tests have


@functools.cache
def settings(name: str) -> DictConfig:
    """The file with whatever it names, and with small numbers."""
    cfg = composed("search", f"warm_start={name}", "run_dir=.").warm_start

    def shrink(node: DictConfig) -> None:
        for key in list(node):
            if isinstance(node[key], DictConfig):
                shrink(node[key])
            elif key in TINY:
                node[key] = TINY[key]

    shrink(cfg)
    if "folder" in cfg:
        cfg.folder = None  # there is no run
    return cfg


def warm_start(name: str, **changes) -> WarmStart:
    return instantiate(OmegaConf.merge(settings(name), changes))


def few(space):
    """The space with a choice on two edges of a cell only, which is quickly looked at."""
    allowed = {}
    for cell, table in space.allowed.items():
        allowed[cell] = table.clone()
        candidates = space.candidates(cell)
        live = torch.tensor([name not in CUTTING for name in space.operations[cell]])
        for edge in range(len(table)):
            if edge % max(3, len(table) // 2):
                allowed[cell][edge] &= ~candidates[edge]
                allowed[cell][edge, int((candidates[edge] & live).nonzero()[-1])] = True
    return space.restrict(allowed)


@functools.cache
def outcome(name: str, space: str):
    return warm_start(name)(task(few(SPACES[space]), size=16))


def equal(one, other) -> bool:
    if one is None or other is None:
        return one is other
    return all(torch.equal(table.nan_to_num(nan=9e9), other[cell].nan_to_num(nan=9e9)) for cell, table in one.items())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_of_every_space_is_a_smaller_space_that_can_be_searched(name, space):
    before, found = few(SPACES[space]), outcome(name, space)
    after = found.space
    assert after.arguments == before.arguments
    for cell in before.edges:
        assert not (after.allowed[cell] & ~before.allowed[cell]).any()
        live = torch.tensor([operation not in CUTTING for operation in before.operations[cell]])
        assert (after.candidates(cell) & live).any(dim=1).all()  # so no node is without input
    assert any(map(after.is_valid, after.sample(100, torch.Generator().manual_seed(0))))
    weights = {cell: torch.rand(table.shape) for cell, table in after.allowed.items()}
    images = torch.randn(2, before.in_channels, 16, 16)
    logits = after.supernet()(images, {cell: w * after.allowed[cell] for cell, w in weights.items()})
    assert logits.shape == (2, 10)
    if after.pool is None:
        assert after.contains(after.discretize(weights))
    assert found.effort.seconds > 0
    assert found.effort.networks >= 0
    for cell in before.edges:
        for tables in (found.scores, found.start):
            if tables is not None:
                assert tables[cell].shape == before.allowed[cell].shape
        if found.scores is not None:
            assert found.scores[cell].isnan()[~before.candidates(cell)].all()
        if found.start is not None:
            assert found.start[cell].isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_written_read_back_and_drawn(name, tmp_path):
    for space in ("nasbench201", "darts"):
        before, found = few(SPACES[space]), outcome(name, space)
        record.save(tmp_path, before, found, name, OmegaConf.to_container(settings(name)))
        again = record.load(tmp_path / record.FILE, before)
        assert equal(again.space.allowed, found.space.allowed)
        assert equal(again.scores, found.scores)
        assert equal(again.start, found.start)
        assert (again.space.pool, again.effort) == (found.space.pool, found.effort)
        assert to_array(draw_outcome(before, found)).ndim == 3
        gone = any(dropped(before.allowed, found.space.allowed).values())
        assert (record.describe(before, found.space.allowed) != "nothing") == gone


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_function_of_the_task_that_leaves_the_global_generator_and_the_threads_alone(name):
    found = outcome(name, "nasbench201")
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    again = warm_start(name)(task(few(SPACES["nasbench201"]), size=16))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert equal(again.scores, found.scores)
    assert equal(again.space.allowed, found.space.allowed)
    assert again.space.pool == found.space.pool


@pytest.mark.parametrize("name", DROPPING)
def test_no_more_than_a_half_can_go_and_protected_operations_stay(name):
    with pytest.raises(Exception, match="at most 1/2"):
        warm_start(name, drop=0.6)
    space = SPACES["nasbench201"] if name != "kernel_removal" else few(SPACES["nasbench201"])
    found = warm_start(name, drop=0.5, min_ops=1, protected=["skip_connect"])(task(space, size=16))
    skips = found.space.operations["cell"].index("skip_connect")
    assert torch.equal(found.space.allowed["cell"][:, skips], space.allowed["cell"][:, skips])
    if space is SPACES["nasbench201"]:
        assert int((~found.space.allowed["cell"]).sum()) == 15


@pytest.mark.parametrize("formulation", ["first_order", "mixed_level"])
@pytest.mark.parametrize("relaxation", names("relaxation"))
def test_every_relaxation_searches_what_is_left_from_where_the_alphas_start(relaxation, formulation):
    found = warm_start("parameters", kappa=0.5)(task(THREE))
    made = build("relaxation", relaxation)
    search = module(made, build("formulation", formulation), space=found.space)
    if made.learns:
        search.alphas.start_at(starting_alphas(made, found.start, found.space.allowed))
        mixture, allowed = search.mixture()["cell"], found.space.allowed["cell"]
        for edge in range(6):  # nothing is left of the noise between what scores differently
            assert mixture[edge, allowed[edge]].argmax() == found.scores["cell"][edge, allowed[edge]].argmax()
    steps(search, random_batches(2, torch.float32))
    assert all(parameter.isfinite().all() for parameter in search.parameters())
    assert found.space.contains(search.genotype())


@pytest.mark.parametrize("formulation", names("formulation"))
def test_every_formulation_searches_what_is_left(formulation):
    found = warm_start("random")(task(THREE))
    search = module(formulation=build("formulation", formulation), space=found.space)
    steps(search, random_batches(2, torch.float32))
    assert all(parameter.isfinite().all() for parameter in search.parameters())
    assert found.space.contains(search.genotype())
