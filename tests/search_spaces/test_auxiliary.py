import pytest
import torch
from torch import nn

from search_spaces.auxiliary import AuxiliaryHead
from search_spaces.darts import DARTS
from search_spaces.network import parameters


@pytest.mark.parametrize(("imagenet", "size"), [(False, 8), (True, 7)])
def test_the_head_is_the_published_one(imagenet, size):
    head = AuxiliaryHead(16, 10, imagenet).double()
    plain = nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=2 if imagenet else 3, padding=0, count_include_pad=False),
        *head.features,
        nn.Flatten(),
        head.classifier,
    )
    x = torch.randn(4, 16, size, size, dtype=torch.float64)
    assert plain[:2](x).shape == (4, 16, 2, 2)
    torch.testing.assert_close(head(x), plain(x), rtol=1e-12, atol=1e-12)
    assert [type(layer) for layer in head.features].count(nn.BatchNorm2d) == (1 if imagenet else 2)


@pytest.mark.parametrize("size", [(4, 4), (16, 16), (5, 9)])
def test_other_sizes_work_too(size):
    assert AuxiliaryHead(16, 10, imagenet=False)(torch.randn(2, 16, *size)).shape == (2, 10)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_a_network_has_it_in_training_only_and_does_not_count_it(stem, generator):
    space = DARTS(channels=4, layers=6, stem=stem, auxiliary=True, num_classes=7)
    architecture = space.sample(1, generator)[0]
    network = space.network(architecture)
    without = DARTS(**{**space.arguments, "auxiliary": False}).network(architecture)
    x = torch.randn(2, 3, 64, 64)
    logits, extra = network.both(x)
    assert logits.shape == extra.shape == (2, 7)
    assert network.eval().both(x)[1] is None
    assert network(x).shape == (2, 7)
    assert parameters(network) == parameters(without)
    assert sum(p.numel() for p in network.parameters()) == parameters(network) + sum(
        p.numel() for p in network.auxiliary.parameters()
    )
    assert without.train().both(x)[1] is None
    assert space.supernet().both(x)[1] is None


@pytest.mark.parametrize(("stem", "first"), [("cifar", 0), ("imagenet", 1)])
@pytest.mark.parametrize("layers", [8, 14, 20])
def test_it_reads_the_second_reduction_cell(stem, first, layers, generator):
    space = DARTS(channels=4, layers=layers, stem=stem, auxiliary=True)
    allowed = space.sample(1, generator)[0].allowed(space.operations)
    with torch.device("meta"):
        network = space.build(allowed, searching=False)
    assert network.auxiliary_at == 2 * layers // 3 + first
    assert network.trunk[network.auxiliary_at].cell_type == "reduce"
