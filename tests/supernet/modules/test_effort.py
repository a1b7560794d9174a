"""What a search step costs, counted and not timed: a change that makes it heavier fails here."""

import pytest
import torch

from benchmarks.step import Own, Plain, batches, counted, module_for
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.operations import Form
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.mixed_level import MixedLevel

CPU = torch.device("cpu")
SPACES = {"nasbench201": NASBench201(4, 5), "darts": DARTS(4, 8)}
CALLS = {  # operator calls of a step, views left out; they do not depend on the images
    ("nasbench201", FirstOrder): 3_190,
    ("nasbench201", MixedLevel): 3_660,
    ("darts", FirstOrder): 9_630,
    ("darts", MixedLevel): 10_440,
}


@pytest.mark.parametrize(("name", "formulation"), CALLS)
def test_a_step_calls_no_more_operators_than_before(name, formulation):
    own = Own(module_for(SPACES[name], torch.float32, CPU), formulation())
    halves = batches(2, 8, torch.float32, CPU)
    own.step(*halves)
    calls, _ = counted(lambda: own.step(*halves), [], CPU)
    assert calls <= CALLS[name, formulation]


@pytest.mark.parametrize(("kind", "most"), [(NASBench201(16, 1), 0.46), (DARTS(4, 3), 0.60)])
def test_a_step_keeps_less_than_the_plain_network(kind, most):
    module = module_for(kind, torch.float32, CPU)
    form = Form(affine=False, pool_norm=isinstance(kind, DARTS))
    plain, own = Plain(module, form), Own(module_for(kind, torch.float32, CPU), FirstOrder())
    halves = batches(8, 32, torch.float32, CPU)
    images = [(x.contiguous(), labels) for x, labels in halves]
    peaks = []
    for step, parameters in ((lambda: own.step(*halves), own.module), (lambda: plain.step(*images), plain.network)):
        step()
        peaks.append(counted(step, list(parameters.parameters()), CPU)[1])
    assert peaks[0] <= most * peaks[1], peaks[0] / peaks[1]
