import time

import pytest
import torch

from search_spaces.candidates import build
from search_spaces.operations import Form
from supernet.costs.survey import Shape
from supernet.costs.timing import device_name, milliseconds, network_call, operation_call

CPU = torch.device("cpu")


def test_every_call_is_timed_in_every_round():
    naps = [lambda: time.sleep(0.002), lambda: time.sleep(0.02)]
    taken = milliseconds(naps, 1, range(3))
    assert taken.shape == (3, 2)
    assert (taken[:, 0] >= 2).all()
    assert (taken[:, 1] >= 20).all()


def test_nothing_is_recorded_for_a_gradient():
    seen = []
    milliseconds([lambda: seen.append(torch.is_grad_enabled())], 1, range(1))
    assert seen
    assert not any(seen)


@pytest.mark.parametrize(("name", "stride"), [("nor_conv_3x3", 1), ("skip_connect", 1), ("avg_pool_3x3", 2)])
def test_an_operation_runs_on_a_batch_of_maps_and_is_added_to_its_node(name, stride):
    shape = Shape(name, stride, (4, 8, 6), (4, 8 // stride, 6 // stride))
    operation = build(name, 1, 4, 4, stride, Form(affine=True))
    call = operation_call(operation, shape, 5, CPU)
    assert call().shape == (5, *shape.output)
    assert not operation.training
    if name == "nor_conv_3x3":
        torch.nn.init.zeros_(operation.conv.weight)
        assert call().std() > 0.5  # what is left is the node


def test_a_network_runs_in_evaluation():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 7), torch.nn.Dropout(0.9))
    call = network_call(network, (3, 4, 4), 2, CPU)
    assert call().shape == (2, 7)
    assert torch.equal(call(), call())


def test_the_processor_has_a_name():
    assert device_name(CPU)
