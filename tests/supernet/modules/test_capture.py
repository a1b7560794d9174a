"""Recorded passes: on any machine by a tape that keeps to the rules of a CUDA graph, by graphs where there is a GPU."""

import gc
import logging
import weakref

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
        found.append({name: tensor.cpu() for name, tensor in search.state_dict().items()})
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


def passed(search, track=False):
    mixture = search.alphas.sample(search.alphas.tensors())
    return search._pass(search.weights, mixture, torch.ones(6, 3, 8, 8, dtype=torch.float64), track)


@pytest.mark.parametrize("other", [False, True])
def test_gradients_that_come_too_late_are_refused(other, tape):
    search = module(captured=True).double()
    for _ in range(2):
        first, second = passed(search), passed(search, track=other)
        second.sum().backward()
        with pytest.raises(RuntimeError, match="came between"):
            first.sum().backward()


def test_a_recording_that_fails_leaves_nothing_broken(tape):
    search = module(captured=True).double()
    expected = passed(search).detach()
    (one,) = search._pass._kinds.values()
    compute = one.compute

    def fails(tensors):
        one.compute = compute
        raise torch.OutOfMemoryError("no memory")

    one.compute = fails
    with pytest.raises(torch.OutOfMemoryError, match="no memory"):
        passed(search)
    for _ in range(3):
        assert torch.equal(passed(search), expected)
    assert tape.replayed


def test_nothing_lives_on_when_a_network_goes(tape):
    search = module(captured=True).double()
    steps(search, random_batches(2))
    gone = [weakref.ref(one) for one in search._pass._kinds.values()]
    gc.disable()
    try:
        search.rebuild(SPACE)
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_weights_that_move_are_recorded_anew(tape):
    search = module(captured=True).double()
    for _ in range(3):
        passed(search)
    for weight in search.weights:
        weight.data = weight.detach() * 2
    plain = module().double()
    plain.load_state_dict(search.state_dict())
    expected = passed(plain)
    for _ in range(3):
        assert torch.equal(passed(search), expected)


def test_a_network_that_depends_on_nothing_has_no_gradients(tape):
    allowed = torch.zeros_like(SPACE.allowed["cell"])
    allowed[:, 0] = True
    assert_same_steps(space=SPACE.restrict({"cell": allowed}))


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


@pytest.fixture
def graphs(monkeypatch):
    """How many CUDA graphs are recorded."""
    made, record = [], capture.CUDAGraphs.__call__

    def counted(self, function):
        made.append(function)
        return record(self, function)

    monkeypatch.setattr(capture.CUDAGraphs, "__call__", counted)
    return made


@gpu
@pytest.mark.parametrize("formulation", FORMULATIONS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("relaxation", [Softmax(), Dirichlet()], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_graphs_take_the_same_steps(formulation, relaxation, space, graphs):
    batches = [{half: tuple(one.cuda() for one in part) for half, part in batch.items()} for batch in random_batches(5)]
    options = {"formulation": formulation, "relaxation": relaxation, "space": space}
    plain, recorded = both(lambda search: steps(search.double().cuda(), batches), **options)
    assert graphs
    torch.testing.assert_close(recorded, plain, rtol=1e-6, atol=1e-8)


@gpu
@pytest.mark.parametrize("options", [
    {}, {"compiled": True}, {"recompute": "cell"}, {"callbacks": True}, {"precision": "bf16-mixed"},
], ids=str)  # fmt: skip
def test_a_search_with_graphs_on_a_gpu_is_the_same(options, graphs):
    def run(search):
        callbacks = [Progressive([{"at": 0.34, "keep": 3}])] if "callbacks" in options else []
        precision = options.get("precision", "32-true")
        fit(search, epochs=3, accelerator="gpu", devices=1, callbacks=callbacks, precision=precision)

    settings = {name: value for name, value in options.items() if name in ("compiled", "recompute")}
    for _ in range(2):  # the second searches where the first has been
        plain, recorded = both(run, **settings)
        torch.testing.assert_close(recorded, plain, rtol=1e-2, atol=1e-3)
    assert graphs
