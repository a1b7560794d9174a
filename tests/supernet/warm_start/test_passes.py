import torch

from supernet.warm_start.passes import counted
from tests.supernet.estimators.tasks import SMALL, network


def test_passes_of_networks_are_counted_and_those_of_their_parts_are_not():
    one, other = network(), network(seed=1)
    images = torch.randn(2, 3, 8, 8)
    with counted() as passes:
        one(images).sum().backward()
        loss = other(images).square().sum()
        weights = list(other.parameters())
        first = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
        torch.autograd.grad(first[0].sum(), weights, allow_unused=True)
        one(images)
        other.stem(images)
    assert (passes.networks, passes.forwards, passes.backwards) == (2, 3, 3)
    one(images).sum().backward()
    assert (passes.forwards, passes.backwards) == (3, 3)  # only inside the block


def test_a_supernet_with_weights_is_one_network():
    with counted() as passes:
        SMALL.supernet()(torch.randn(2, 3, 8, 8), {"cell": SMALL.allowed["cell"].float()})
    assert (passes.networks, passes.forwards, passes.backwards) == (1, 1, 0)
