"""How often a search step waits for its device, found without one.

Steps run on torch's ``meta`` device, whose tensors have no values: whatever needs one is a place where the host would
wait for a GPU. So is every copy between the two, and every operator that mixes their tensors.
"""

from typing import Any

import pytest
import torch
from pytorch_lightning.trainer.connectors.logger_connector import result
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from supernet.costs.counted import Counted
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.implicit import Implicit
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.mixed_level_second_order import MixedLevelSecondOrder
from supernet.formulations.second_order import SecondOrder
from supernet.formulations.single_level import SingleLevel
from supernet.perturbations.adversarial import AdversarialPerturbation
from supernet.perturbations.random import RandomPerturbation
from supernet.relaxations.base import Relaxation
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.gumbel import Gumbel
from supernet.relaxations.sigmoid import Sigmoid
from supernet.relaxations.softmax import Softmax
from supernet.relaxations.uniform import Uniform
from tests.supernet.searches import SPACE, TWO_CELLS, fit, images, module

FORMULATIONS = (
    FirstOrder(), SingleLevel(), MixedLevel(), SecondOrder(), SecondOrder(False), MixedLevelSecondOrder(), Implicit(),
)  # fmt: skip
META = torch.device("meta")


class Waits(TorchDispatchMode):
    """Notes the operators that a host would wait for, and gives it zeros to go on with."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        devices = {one.device.type for one in given if one.ndim or one.is_meta}  # a number on the host travels along
        if func == torch.ops.aten._local_scalar_dense.default and given[0].is_meta:
            self.found.append(str(func))
            return True if given[0].dtype == torch.bool else 1
        target = torch.device(kwargs.get("device") or (given[0].device if given else "cpu"))
        if func == torch.ops.aten._to_copy.default and target != given[0].device:
            self.found.append(str(func))
            return torch.zeros(given[0].shape, dtype=kwargs.get("dtype") or given[0].dtype, device=target)
        if len(devices) > 1:
            self.found.append(str(func))
        return func(*args, **kwargs)


@pytest.fixture(autouse=True)
def no_draws(monkeypatch):
    """The meta device has neither generators nor these two kernels."""
    monkeypatch.setattr(torch, "_sample_dirichlet", lambda alpha, generator: torch.empty_like(alpha))
    monkeypatch.setattr(torch, "_dirichlet_grad", lambda x, alpha, total: torch.empty_like(alpha))
    monkeypatch.setattr(Relaxation, "seed", lambda *_: None)
    generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": generator("cpu"))


def waits(search) -> list[str]:
    """What the second step waits for; the first one may copy what stays on the device."""
    search.to(META)
    search._use(search.network)
    optimizers = search.configure_optimizers()[0]
    search.optimizers = lambda: optimizers
    halves = {half: (torch.randn(6, 3, 8, 8, device=META), torch.zeros(6, dtype=int, device=META)) for half in "tv"}
    batch = {"train": halves["t"], "valid": halves["v"]}
    for number in range(2):
        with Waits() as waited:
            search.training_step(batch, number)
    return waited.found


@pytest.mark.parametrize(
    ("relaxation", "formulation"),
    [(Softmax(), one) for one in FORMULATIONS]
    + [(one, FirstOrder()) for one in (Sigmoid(), Gumbel(hard=False), Dirichlet())],
    ids=lambda one: type(one).__name__,
)
def test_a_step_with_all_operations_never_waits(relaxation, formulation):
    assert waits(module(relaxation, formulation)) == []


@pytest.mark.parametrize("options", [
    {"space": TWO_CELLS, "partial_channels": 2, "edge_normalization": True},
    {"clip": 0.0},
    {"cost": Counted(SPACE, (3, 8, 8), "parameters")},
    {"perturbation": AdversarialPerturbation(2, 0.2, 0.2)},
    {"perturbation": RandomPerturbation(0.2, 0.2)},
], ids=lambda options: next(iter(options)))  # fmt: skip
def test_nor_do_its_parts(options):
    assert waits(module(**options)) == []


@pytest.mark.parametrize(("relaxation", "draws"), [(Gumbel(), 2), (Uniform(), 1)], ids=["Gumbel", "Uniform"])
def test_a_sample_of_single_operations_is_one_wait_a_draw(relaxation, draws):
    assert waits(module(relaxation)) == draws * ["aten._to_copy.default"]


def test_leaving_batches_out_is_one_wait_a_gradient():
    assert waits(module(max_skipped_steps=1)) == 2 * ["aten._local_scalar_dense.default"]


def test_nor_does_a_batch_from_memory_but_for_what_a_pass_begins_with():
    source = images(crop_padding=1, flip=True, cutout=2)
    source.to(META)
    batches = source.batches("train", shuffle=True, augment=True, drop_last=True)
    next(batches)
    with Waits() as waited:
        next(batches)
    assert waited.found == []


def test_nor_does_the_trainer_between_two_steps_that_are_logged(monkeypatch):
    search, read = module(), []

    def converted(value):
        read.append(search.trainer.training and search.trainer._logger_connector._first_loop_iter is not None)
        return convert(value)

    convert = result.convert_tensors_to_scalars
    monkeypatch.setattr(result, "convert_tensors_to_scalars", converted)
    fit(search)
    assert read
    assert not any(read)


def test_a_wait_is_noticed():
    number = torch.zeros(3, device=META)
    for wait in (
        lambda: number.sum().item(),
        lambda: float(number.sum()),
        lambda: bool(number.sum() > 0),
        number.tolist,
        number.cpu,
        lambda: torch.ones(3).to(META),
        lambda: torch.ones(3) + number,
    ):
        with Waits() as found:
            try:
                wait()
            except (RuntimeError, NotImplementedError):
                assert found.found
        assert found.found, wait
