"""Recorded passes: on any machine by a tape that keeps to the rules of a CUDA graph, by graphs where there is a GPU."""

import logging

import pytest
import torch

from search_spaces.robust_darts import RobustDARTS
from supernet.callbacks.eigenvalue import EigenvalueStop
from supernet.callbacks.progressive import Progressive
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.implicit import Implicit
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.mixed_level_second_order import MixedLevelSecondOrder
from supernet.formulations.second_order import SecondOrder
from supernet.formulations.single_level import SingleLevel
from supernet.modules import capture
from supernet.perturbations.adversarial import AdversarialPerturbation
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.gumbel import Gumbel
from supernet.relaxations.sigmoid import Sigmoid
from supernet.relaxations.softmax import Softmax
from tests.supernet.modules.tape import Tape
from tests.supernet.searches import SPACE, TWO_CELLS, fit, module, random_batches, steps

FORMULATIONS = (FirstOrder(), SingleLevel(), MixedLevel(), SecondOrder(), MixedLevelSecondOrder())
KINDS = (1, 1, 2, 5, 5)  # of passes in a step, besides that of the weights
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")


@pytest.fixture
def tape(monkeypatch):
    made = Tape()
    monkeypatch.setattr(capture, "recorder", lambda device: made)
    monkeypatch.setattr("supernet.modules.search.recorder", lambda device: made)
    return made


def both(run, **options) -> list[dict[str, torch.Tensor]]:
    """What a search comes to when its passes are run, and when they are recorded."""
    found = []
    for captured in (False, True):
        search = module(captured=captured, **options)
        run(search)
        found.append(search.state_dict())
    assert any(not torch.equal(found[0][name], tensor) for name, tensor in module(**options).state_dict().items())
    return found


def assert_same_steps(dtype=torch.float64, **options) -> None:
    """Bit for bit, on this device."""
    batches = random_batches(5, dtype)
    plain, recorded = both(lambda search: steps(search.to(dtype), batches), **options)
    torch.testing.assert_close(recorded, plain, rtol=0, atol=0)


@pytest.mark.parametrize("formulation", FORMULATIONS, ids=lambda one: type(one).__name__)
def test_recorded_steps_are_those_that_are_run(formulation, tape):
    assert_same_steps(formulation=formulation)
    assert tape.recordings
    assert tape.recordings % 2 == 0
    assert tape.replayed > tape.recordings


@pytest.mark.parametrize("options", [
    {"relaxation": Dirichlet()},
    {"relaxation": Gumbel(hard=False)},
    {"relaxation": Sigmoid()},
    {"space": TWO_CELLS, "partial_channels": 2, "edge_normalization": True},
    {"recompute": "cell", "space": TWO_CELLS},
    {"recompute": "operation", "formulation": MixedLevel()},
    {"perturbation": AdversarialPerturbation(2, 0.2, 0.2)},
    {"weight_steps": 2, "clip": 0.0},
    {"max_skipped_steps": 1},
], ids=lambda options: "_".join(options))  # fmt: skip
def test_so_are_those_of_other_searches(options, tape):
    assert_same_steps(**options)
    assert tape.replayed


@pytest.mark.parametrize("options", [
    {"relaxation": Gumbel(hard=False), "formulation": MixedLevel()},
    {"relaxation": Dirichlet(), "formulation": SecondOrder()},
], ids=lambda options: type(options["relaxation"]).__name__)  # fmt: skip
def test_what_changes_from_epoch_to_epoch_is_not_recorded(options, tape):
    """Learning rate, temperature, noise, running statistics between the halves' passes and in validation."""
    plain, recorded = both(lambda search: fit(search, epochs=3), **options)
    torch.testing.assert_close(recorded, plain, rtol=0, atol=0)
    assert tape.replayed


def test_half_precision_casts_the_weights_of_each_step(tape):
    for formulation, arch in ((FirstOrder(), "32-true"), (MixedLevel(), "bf16-mixed")):
        plain, recorded = both(
            lambda search: fit(search, epochs=2, precision="bf16-mixed"), formulation=formulation, arch_precision=arch
        )
        torch.testing.assert_close(recorded, plain, rtol=0, atol=0)
    assert tape.replayed


def test_a_supernet_that_shrinks_is_recorded_anew(tape):
    def run(search):
        fit(search, epochs=3, callbacks=[Progressive([{"at": 0.34, "keep": 3, "partial_channels": 1}])])
        assert int(search.space.allowed["cell"].sum()) == 3 * 6

    plain, recorded = both(run, partial_channels=2)
    torch.testing.assert_close(recorded, plain, rtol=0, atol=0)


def test_each_kind_of_pass_is_recorded_once(tape):
    search = module(captured=True).double()
    steps(search, random_batches(6))
    assert tape.recordings == 2 * 2  # the alphas' and the weights', forth and back
    assert len(search._pass._kinds) == 2
    assert tape.replayed == 2 * 2 * 5  # all steps but the first


def test_what_cannot_be_recorded_is_run_as_it_comes(tape, caplog):
    with caplog.at_level(logging.WARNING, logger="supernet"):
        search = module(formulation=Implicit(), captured=True)
        assert "cuda_graphs=true: going on without, because Implicit differentiates gradients" in caplog.text
        assert not search.captured
        search = module(space=RobustDARTS("s4", 4, 3, num_classes=3), captured=True).double()
        steps(search, random_batches(3))
    assert caplog.text.count("as long as operations draw random numbers") == 1
    assert not tape.recordings


def test_a_device_without_graphs_is_named(caplog):
    with caplog.at_level(logging.WARNING, logger="supernet"):
        fit(module(captured=True))
    assert "cuda_graphs=true: going on without, because cpu has none" in caplog.text


def test_second_derivatives_are_taken_without(tape):
    search = module(captured=True)
    fit(search, callbacks=[EigenvalueStop()])
    assert tape.replayed


def test_gradients_that_come_too_late_are_refused(tape):
    search = module(captured=True).double()
    (batch,) = random_batches(1)
    images = batch["train"][0]
    for _ in range(2):
        first, second = (
            search._pass(search.weights, search.alphas.sample(search.alphas.tensors()), images, False) for _ in "ab"
        )
        second.sum().backward()
        with pytest.raises(RuntimeError, match="came between"):
            first.sum().backward()


def test_a_tape_repeats_what_it_saw_and_does_nothing_before():
    given, state, factor = torch.ones(2), torch.zeros(2), 2.0

    def function():
        state.add_(1)
        return (given * factor + state,)

    replay, (result,) = Tape()(function)
    assert torch.equal(state, torch.zeros(2))
    assert result.isnan().all()
    given.fill_(5)
    factor = 3.0
    replay()
    replay()
    assert torch.equal(state, torch.full((2,), 2.0))
    assert torch.equal(result, torch.full((2,), 12.0))


@gpu
@pytest.mark.parametrize("formulation", FORMULATIONS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("relaxation", [Softmax(), Dirichlet()], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_graphs_take_the_same_steps(formulation, relaxation, space):
    batches = [{half: tuple(one.cuda() for one in part) for half, part in batch.items()} for batch in random_batches(5)]
    options = {"formulation": formulation, "relaxation": relaxation, "space": space}
    plain, recorded = both(lambda search: steps(search.double().cuda(), batches), **options)
    torch.testing.assert_close(recorded, plain, rtol=1e-9, atol=1e-9)


@gpu
@pytest.mark.parametrize("options", [{}, {"compiled": True}, {"recompute": "cell"}], ids=str)
def test_a_search_with_graphs_on_a_gpu_is_the_same(options):
    plain, recorded = both(lambda search: fit(search, epochs=2, accelerator="gpu", devices=1), **options)
    torch.testing.assert_close(recorded, plain, rtol=1e-3, atol=1e-4)
