import math

import pytest
import torch

from supernet.estimators.proxies.effective_dimension import EffectiveDimension, effective_dimension
from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.layers import per_edge, weight_gradients
from tests.supernet.estimators.tasks import network, task


def test_a_known_spectrum_gives_the_closed_form():
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    kernel = rotation @ torch.diag(torch.tensor([8.0, 4.0, 4.0, 0.0], dtype=torch.float64)) @ rotation.T
    # The mean eigenvalue is 4: 8 / 8.04 + 2 * 4 / 4.04.
    assert float(effective_dimension([kernel])) == pytest.approx(8 / 8.04 + 8 / 4.04)
    assert float(effective_dimension([7 * kernel, 0 * kernel, kernel])) == pytest.approx(2 * (8 / 8.04 + 8 / 4.04))


def test_equal_directions_count_once_and_orthogonal_ones_each():
    equal, apart = torch.ones(5, 5, dtype=torch.float64), torch.eye(5, dtype=torch.float64)
    assert float(effective_dimension([equal])) == pytest.approx(5 / 5.01)
    assert float(effective_dimension([apart])) == pytest.approx(5 / 1.01)


def test_it_is_that_of_the_gradients_of_single_images():
    made, (images, labels) = EffectiveDimension(task(), batch_size=12, gram_batch=9), task().samples.batch(12)
    net, images = network(seed=1).double(), images.double()
    ours = made.measure(network(seed=1).double(), images, labels)
    frozen_statistics(net, images)
    rows = [
        [part.flatten() for part in per_edge(net, weight_gradients(net(images[i : i + 1]).sum(), net))]
        for i in range(9)
    ]
    expected = 0.0
    for gradients in zip(*rows, strict=True):
        values = torch.linalg.svdvals(torch.stack(gradients)).square()
        if values.sum() > 0:
            expected += float((values / (values + 0.01 * values.sum() / 9)).sum())
    assert ours == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_not_finite_give_no_number(value):
    bad = torch.eye(4).double()
    bad[1, 1] = value
    assert effective_dimension([bad]).isnan()
