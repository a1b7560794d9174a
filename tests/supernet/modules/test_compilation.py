import functools
import logging

import pytest
import torch
import torch._inductor.compile_fx
from torch._dynamo.backends.debugging import aot_eager

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.errors import UserError
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.implicit import Implicit
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.second_order import SecondOrder
from supernet.modules import compilation
from supernet.modules.compilation import check_statistics, compile_cells, obstacle
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.gumbel import Gumbel
from supernet.relaxations.softmax import Softmax
from tests.supernet.searches import module, random_batches


@pytest.fixture(autouse=True)
def clean():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compare(monkeypatch, **options):
    """A compiled search takes the same steps, and compiles nothing after the first."""
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr("supernet.modules.search.compile_cells", functools.partial(compile_cells, backend=backend))
    batches, found, counts = random_batches(3), [], []
    for compiled in (False, True):
        search = module(compiled=compiled, **options).double()
        search.log = lambda *_, **__: None
        optimizers = search.configure_optimizers()[0]
        search.optimizers = lambda optimizers=optimizers: optimizers
        for number, batch in enumerate(batches):
            search.training_step(batch, number)
            counts.append(len(seen))
        found.append(search.state_dict())
    plain, compiled = found
    assert list(compiled) == list(plain)
    torch.testing.assert_close(compiled, plain, rtol=1e-10, atol=1e-10)
    assert counts[2] == 0 < counts[3] == counts[5]
    assert not torch._dynamo.utils.counters["graph_break"]


def test_a_compiled_search_takes_the_same_steps_and_compiles_nothing_after_the_first(monkeypatch):
    compare(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("space", [NASBench201(4, 1), DARTS(4, 3)], ids=["nasbench201", "darts"])
@pytest.mark.parametrize("formulation", [MixedLevel(), SecondOrder()])
def test_so_does_one_with_every_formulation_and_space(space, formulation, monkeypatch):
    compare(monkeypatch, space=space, formulation=formulation)


@pytest.mark.slow
def test_recomputation_of_cells_goes_with_it(monkeypatch):
    compare(monkeypatch, recompute="cell")


@pytest.mark.slow
def test_compiled_code_gives_the_same_gradients(monkeypatch):
    """The compiler's own code, which takes a minute to make."""
    monkeypatch.setattr(f"{__name__}.aot_eager", torch._inductor.compile_fx.compile_fx)
    compare(monkeypatch, relaxation=Dirichlet(), formulation=MixedLevel())


def test_what_cannot_be_compiled_goes_on_without_and_says_why(caplog):
    for combination in ((Softmax(), FirstOrder()), (Softmax(), SecondOrder()), (Dirichlet(), MixedLevel())):
        assert obstacle(*combination) is None
    with caplog.at_level(logging.WARNING, logger="supernet"):
        search = module(Softmax(), Implicit(), compiled=True)
    assert "compile=true: going on without, because Implicit differentiates gradients" in caplog.text
    assert all(cell._compiled_call_impl is None for cell in search.network.cells)
    assert "recompute=cell can be compiled" in obstacle(Softmax(), FirstOrder(), "operation")
    assert "runs other operations in each step" in obstacle(Gumbel(hard=True), FirstOrder())


def test_a_network_that_is_released_runs_as_it_is():
    network = NASBench201(4, 1).supernet()
    compile_cells(network)
    assert all(cell._compiled_call_impl is not None for cell in network.cells)
    compilation.release(network)
    assert all(cell._compiled_call_impl is None for cell in network.cells)


@pytest.mark.parametrize(("options", "named"), [
    (("cell", False, False), "recompute=cell"),
    ((None, True, False), "compile=true"),
    ((None, False, True), "cuda_graphs=true"),
])  # fmt: skip
def test_statistics_of_several_processes_are_refused(options, named):
    check_statistics(*options, synchronised=False)
    check_statistics(None, False, False, synchronised=True)
    with pytest.raises(UserError, match=named):
        check_statistics(*options, synchronised=True)
