import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import NASBench201
from search_spaces.nasbench_macro import NASBenchMacro
from supernet.estimators.proxies.grams import (
    frozen_statistics,
    gram_by_positions,
    gram_by_weights,
    layer_grams,
    pair_products,
    weight_products,
)
from supernet.estimators.proxies.layers import layers, per_edge, weight_gradients
from supernet.estimators.proxies.sample_gradients import Passage, passages
from supernet.estimators.supernets import Mixed, uniform
from tests.supernet.estimators.tasks import SMALL, network, task

SPACES = [
    SMALL, NASBench201(channels=5, cells_per_stage=1), DARTS(channels=4, layers=3),
    DARTS(channels=4, layers=3, stem="imagenet"), NASBench1Shot1(1, channels=4, layers=3), NASBenchMacro(channels=4),
]  # fmt: skip


def losses(labels):
    return lambda logits: F.cross_entropy(logits, labels, reduction="none")


def loop(net, images, scalar):
    """The Gram matrices from one backward pass for each image on its own."""
    rows = []
    for index in range(len(images)):
        gradients = weight_gradients(scalar(net(images))[index], net)
        rows.append([gradient.flatten() for gradient in per_edge(net, gradients)])
    stacked = [torch.stack(gradients) for gradients in zip(*rows, strict=True)]
    return [gradients @ gradients.T for gradients in stacked]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}-{space.channels}")
def test_each_layer_has_the_products_of_a_loop_over_images(space, dtype, tolerance):
    net, (images, labels) = network(space, seed=1).to(dtype), task(space, size=9).samples.batch(4)
    images = images.to(dtype)
    frozen_statistics(net, images)
    for scalar in (losses(labels), lambda logits: logits.sum(dim=1)):
        ours, theirs = layer_grams(net, images, scalar), loop(net, images, scalar)
        assert len(ours) == len(theirs) == sum(layer.copies for layer in layers(net))
        size = max(float(gram.max()) for gram in theirs)
        assert size > 0
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.dtype == torch.float64
            torch.testing.assert_close(mine, other.double(), rtol=tolerance, atol=tolerance * size)


def test_the_mixture_of_a_supernet_has_one_gram_matrix_for_each_edge_and_operation():
    torch.manual_seed(0)
    space = DARTS(channels=2, layers=3)
    net, (images, labels) = Mixed(space.supernet(), uniform(space.allowed)).double(), task(size=6).samples.batch(3)
    frozen_statistics(net, images.double())
    ours, theirs = (found(net, images.double(), losses(labels)) for found in (layer_grams, loop))
    shared = [layer.module for layer in layers(net) if layer.copies > 1]
    for kind in ("groups", "dilation", "stride"):
        values = {getattr(module, kind) for module in shared}
        assert len(values) > 1, f"{kind} is {values} in all layers that serve several edges"
    # stem; a cell's inputs; two separable and two dilated convolutions on 14 edges; skips of stride 2 on 8; head
    assert len(ours) == 1 + (2 + 2 + 3) + 3 * 14 * (2 * 4 + 2 * 2) + 2 * 8 * 2 + 1
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def test_both_ways_to_a_gram_matrix_agree_and_each_is_cheaper_somewhere():
    net, (images, labels) = network(DARTS(channels=4, layers=3), seed=1).double(), task(size=8).samples.batch(3)
    frozen_statistics(net, images.double())
    cheaper = set()
    for _, passage in passages(net, images.double(), losses(labels)):
        torch.testing.assert_close(gram_by_positions(passage), gram_by_weights(passage), rtol=1e-9, atol=1e-12)
        cheaper.add(pair_products(passage) < weight_products(passage))
    assert cheaper == {True, False}


def test_the_weight_gradients_of_a_large_linear_layer_are_never_made(monkeypatch):
    monkeypatch.delattr(Passage, "weight_gradients")
    (gram,) = layer_grams(nn.Linear(50, 20), torch.ones(3, 50), lambda logits: logits.sum(dim=1))
    torch.testing.assert_close(gram, torch.full((3, 3), 20 * 50.0, dtype=torch.float64))


def test_layers_that_lead_nowhere_have_zeros():
    net = SMALL.network(SMALL.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"))
    images, labels = task().samples.batch(3)
    frozen_statistics(net, images)
    grams = layer_grams(net, images, losses(labels))
    assert sum(bool((gram == 0).all()) for gram in grams) == 3
    assert all(bool((gram.diagonal() > 0).all()) for gram in grams if bool((gram != 0).any()))


def test_frozen_statistics_keep_what_training_computes():
    net, (images, _) = network().double(), task().samples.batch(8)
    images = images.double()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    seen = []
    hook = norms[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    logits = frozen_statistics(net, images)
    hook.remove()
    torch.testing.assert_close(norms[0].running_mean, seen[0].mean(dim=(0, 2, 3)))
    assert not net.training
    unbiased = net(images)
    for norm, count in zip(norms, positions(net, images, norms), strict=True):
        norm.running_var *= (count - 1) / count
    torch.testing.assert_close(net(images), logits)
    assert not torch.allclose(unbiased, logits)
    alone = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(alone, logits)


def positions(net, images, norms):
    """Over how many pixels of all images each batch norm averages."""
    counts = {}
    hooks = [
        norm.register_forward_hook(lambda module, inputs, output: counts.update({module: inputs[0][:, 0].numel()}))
        for norm in norms
    ]
    net(images)
    for hook in hooks:
        hook.remove()
    return [counts[norm] for norm in norms]
