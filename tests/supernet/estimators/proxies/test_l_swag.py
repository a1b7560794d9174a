import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.l_swag import LSWAG, steadiness
from supernet.estimators.proxies.swap import patterns
from tests.supernet.estimators.tasks import SMALL, Published, network, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_two_batches_of_a_linear_layer_worked_by_hand():
    # With equal logits the softmax is (1/2, 1/2); the gradient by W is (p - y) x' = ((-1/2) x, (1/2) x) for label 0.
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data.zero_()
    images, labels = torch.tensor([[1.0, 2.0, 3.0], [5.0, -2.0, 4.0]]), torch.tensor([0, 0])
    # |g| is |x| / 2 twice: 1/2 and 5/2, 1 and 1, 3/2 and 2; half the differences are 1, 0, 1/4. The zero is left out.
    expected = math.log(2 * (1 / 1 + 1 / 0.25))
    assert float(steadiness(layer, images, labels)) == pytest.approx(expected)


@pytest.mark.parametrize("parts", [2, 3])
def test_it_is_the_sum_over_published_layers(parts):
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    batched = SMALL.network(architecture).double().train()
    reference = Published(batched, SMALL, architecture).train()
    images, labels = task().samples.batch(12)
    images = images.double()
    layers = [module for module in reference.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    found = []
    for some in torch.arange(12).reshape(parts, -1):
        reference.zero_grad()
        F.cross_entropy(reference(images[some]), labels[some]).backward()
        found.append([layer.weight.grad.abs().flatten() for layer in layers])
    expected = 0.0
    for gradients in zip(*found, strict=True):
        each = torch.stack(gradients)
        deviation = (each - each.mean(0)).square().mean(0).sqrt()
        expected += math.log(sum(1 / float(one) for one in deviation if one > 0))
    assert float(steadiness(batched, images, labels, parts)) == pytest.approx(expected, rel=1e-9)


def test_an_interval_of_layers_can_be_chosen():
    net, (images, labels) = network().double(), task().samples.batch(8)
    shares = [(0.0, 0.3), (0.3, 0.9), (0.9, 1.0), (0.0, 1.0)]
    parts = [float(steadiness(net, images.double(), labels, 2, first, last)) for first, last in shares]
    assert sum(parts[:3]) == pytest.approx(parts[3])
    assert all(parts[:3])


def test_the_score_is_the_product_with_the_number_of_patterns():
    net, (images, labels) = network().double(), task().samples.batch(40)
    with torch.no_grad():
        count = int(patterns(net, images.double()[:32]))
    expected = count * float(steadiness(net, images.double(), labels))
    assert LSWAG(task(), batch_size=40).measure(net, images.double(), labels) == pytest.approx(expected)


def test_layers_without_a_varying_gradient_do_not_count():
    net, (images, labels) = network().double(), task().samples.batch(4)
    twice = images.double().repeat(2, 1, 1, 1), labels.repeat(2)
    assert float(steadiness(net, *twice)) == 0


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(ValueError, match="parts is 1"):
        LSWAG(task(), batch_size=8, parts=1)
    with pytest.raises(ValueError, match=r"first is 0\.5 and last is 0\.5"):
        LSWAG(task(), batch_size=8, first=0.5, last=0.5)
