import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.nasbench201 import NASBench201
from supernet import seeds
from supernet.estimators.proxies.gradsign import GradSign, gradsign
from supernet.estimators.proxies.layers import weight_gradients
from supernet.estimators.proxies.normalisation import normalised
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_it_counts_the_agreement_of_images_that_pass_one_by_one_through_published_modules():
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    net = SMALL.network(architecture).double().train()
    reference, (images, labels) = Published(net, SMALL, architecture).double(), task(size=16).samples.batch(5)
    images = images.double()  # on smaller ones pooled maps are constant, and only rounding gives gradients a sign
    signs = []
    for index in range(5):
        reference.zero_grad()
        F.cross_entropy(reference(images[index : index + 1]), labels[index : index + 1]).backward()
        layers = [module for module in reference.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        signs.append(
            torch.cat([layer.weight.grad.sign().flatten() for layer in layers if layer.weight.grad is not None])
        )
    (score,) = GradSign(task(size=16), batch_size=5).average(lambda: copy.deepcopy(net))
    with normalised("instance"):
        exact = float(gradsign(net, images, labels))
    assert score == pytest.approx(exact, rel=1e-3)  # in single precision
    assert exact == float(torch.stack(signs).sum(dim=0).abs().sum())


def test_agreement_of_two_images_is_worked_out():
    # One weight for each of two logits; equal inputs. Equal labels agree in both, different labels in none.
    net = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(net.weight)
    images = torch.ones(2, 1)
    assert float(gradsign(net, images, torch.tensor([0, 0]))) == 4
    assert float(gradsign(net, images, torch.tensor([0, 1]))) == 0
    assert float(gradsign(net, -images, torch.tensor([1, 1]))) == pytest.approx(4)


def test_gradients_that_are_rounding_errors_have_no_sign():
    """A mean over all pixels of what has just been normalised does not depend on the convolution before."""
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 6, 6, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    convolution, head = nn.Conv2d(3, 5, 3), nn.Linear(5, 2)
    net = nn.Sequential(convolution, nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).double()
    with normalised("instance"):
        assert 0 <= float(gradsign(net, images, labels)) <= 4 * head.weight.numel()
        assert float(gradsign(net, images, labels)) == float(gradsign(net, images.flip(3), labels))


def test_small_gradients_count_in_a_network_as_wide_as_that_of_the_benchmark():
    space = NASBench201()
    text = "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|skip_connect~2|"
    small = task(space, size=32)
    (score,) = GradSign(small, batch_size=4).measurements(space.parse(text))
    torch.manual_seed(seeds.derive(0, seeds.SCORE, 0))
    network = space.network(space.parse(text)).double().train()
    images, labels = small.samples.batch(4)
    signs = []
    with normalised("instance"):
        for image, label in zip(images.double(), labels, strict=True):
            loss = F.cross_entropy(network(image[None]), label[None])
            gradients = weight_gradients(loss, network)
            signs.append(torch.cat([gradient.flatten() for gradient in gradients]))
    stacked = torch.stack(signs)
    expected = (stacked.sign() * (stacked.abs() > 1e-12)).sum(dim=0).abs().sum()
    assert score == pytest.approx(float(expected), rel=1e-3)
