import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.zico import ZiCo, log_ratio
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_not_finite_give_no_score(value):
    assert math.isnan(log_ratio(torch.tensor([[1.0, value], [2.0, 1.0]])))


def test_it_is_the_published_computation_with_gradients_of_separate_batches():
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    net = SMALL.network(architecture).double().train()
    reference, (images, labels) = Published(net, SMALL, architecture).double(), task().samples.batch(12)
    images = images.double()
    layers = [module for module in reference.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    found = []
    for part in range(3):
        reference.zero_grad()
        F.cross_entropy(reference(images[4 * part : 4 * part + 4]), labels[4 * part : 4 * part + 4]).backward()
        found.append([layer.weight.grad.clone().numpy() for layer in layers])
    expected = 0.0
    for gradients in zip(*found, strict=True):
        stacked = np.array(gradients)
        varying = stacked.std(axis=0).nonzero()
        expected += np.log(np.sum(np.abs(stacked).mean(axis=0)[varying] / stacked.std(axis=0)[varying]))
    assert ZiCo(task(), batch_size=12, parts=3).measure(net, images, labels) == pytest.approx(expected)


def test_two_parts_give_a_ratio_that_is_worked_out():
    # |g| has means 2 and 3, the deviations are 1 and 3 (their signs differ); the last weight does not vary.
    gradients = torch.tensor([[1.0, 3.0, 5.0], [3.0, -3.0, 5.0]])
    assert log_ratio(gradients) == pytest.approx(math.log(2 / 1 + 3 / 3))
    assert log_ratio(torch.ones(2, 4)) == 0


def test_a_batch_must_have_parts():
    with pytest.raises(ValueError, match="parts is 1: a batch of 12 can be divided into 2 to 12"):
        ZiCo(task(), batch_size=12, parts=1)
