import torch
from torch import nn

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench101 import ConvBNReLU
from supernet.estimators.proxies.activations import activations
from tests.supernet.estimators.tasks import SMALL, Published, task


def recorded(network, images):
    """What the ReLUs of a network of plain modules give, by hooks."""
    found = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, inputs, output: found.append(output))
    network(images)
    return found


def test_relus_are_counted_once_for_each_edge_that_begins_with_one():
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_1x1~0|skip_connect~1|nor_conv_3x3~2|"
    architecture = SMALL.parse(text)
    network, (images, _) = SMALL.network(architecture).train(), task().samples.batch(4)
    with torch.no_grad():
        logits, found = activations(network, images)
    assert torch.equal(logits, network(images))
    counts = [activation.count for activation in found]
    # Each of the three cells: three operations leave node 0, one leaves node 1 and one node 2. The reduction blocks
    # have two, the head one.
    assert counts == [3, 1, 1, 1, 1] * 2 + [3, 1, 1, 1]


def test_the_values_are_those_of_published_modules():
    space = DARTS(channels=4, layers=3)
    (architecture,) = space.sample(1, torch.Generator().manual_seed(1))
    network, (images, _) = space.network(architecture).train(), task(space).samples.batch(4)
    with torch.no_grad():
        found = activations(network, images)[1]
        reference = activations(Published(network, space, architecture), images)[1]
    ours = sorted(float(one.values.sum()) for one in found for _ in range(one.count))
    theirs = sorted(float(one.values.sum()) for one in reference)
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-4, atol=1e-3)


def test_each_edge_has_a_map_of_its_own():
    space = NASBench1Shot1(1, channels=4, layers=3)
    (architecture,) = space.sample(1, torch.Generator().manual_seed(0))
    network, (images, _) = space.network(architecture).train(), task(space).samples.batch(4)
    edges = sum(layer.copies for layer in network.modules() if isinstance(layer, ConvBNReLU))
    with torch.no_grad():
        found = activations(network, images)[1]
    assert len(found) == 1 + edges  # the stem has one
    assert any(layer.copies > 1 for layer in network.modules() if isinstance(layer, ConvBNReLU))
    assert {activation.values.dim() for activation in found} == {4}
