import math

import pytest
import torch
import torch.nn.functional as F

from supernet.estimators.proxies.trainability import trainability


def first(channels=1, size=4, batch=2):
    return torch.ones(batch, channels, size, size, dtype=torch.float64, requires_grad=True)


def test_layers_that_scale_a_single_channel():
    # Whatever the signs g are, h = c g, so that h'g / n = c.
    f0 = first()
    f1 = 3 * f0
    f2 = -f1
    three, one = 2 - 3 - 1 / 3, 0.0
    assert float(trainability([f0, f1])) == pytest.approx(three, abs=1e-5)
    assert float(trainability([f1, f2])) == pytest.approx(one, abs=1e-5)
    assert float(trainability([f0, f1, f2])) == pytest.approx((three + one) / 2, abs=1e-5)


@pytest.mark.parametrize("size", [4, 5])
def test_where_a_layer_halves_the_map_four_pixels_are_four_channels(size):
    # Pooling gives a quarter of the cotangent to each of four pixels: the vector (1/4, 1/4, 1/4, 1/4) has norm 1/2.
    f0 = first(size=size)
    pooled = F.avg_pool2d(F.pad(f0, (0, size % 2, 0, size % 2)), 2)
    if size == 4:
        expected = 2 - 0.5 - 1 / 0.5
    else:  # nine of nine, six of nine, six of nine and four of nine pixels exist; the others have no gradient
        sigma = math.hypot(9 / 9, 6 / 9, 6 / 9, 4 / 9) / 4
        expected = 2 - sigma - 1 / sigma
    assert float(trainability([f0, pooled])) == pytest.approx(expected, abs=1e-5)


def test_with_many_pixels_it_is_the_spectral_norm_of_a_point_wise_convolution():
    torch.manual_seed(0)
    weight = torch.randn(3, 5, dtype=torch.float64)
    f0 = first(channels=5, size=64, batch=16)
    f1 = F.conv2d(f0, weight[:, :, None, None])
    sigma = float(torch.linalg.matrix_norm(weight, ord=2))
    assert float(trainability([f0, f1])) == pytest.approx(2 - sigma - 1 / sigma, rel=0.05)


def test_an_identity_cannot_be_trained():
    f0 = first(channels=2)
    assert float(trainability([f0, f0 * 1, 3 * f0])) == -math.inf


def test_a_map_that_does_not_depend_on_the_one_before_is_as_bad_as_one_without_gradient():
    f0 = first()
    f1, f2 = 2 * f0, 3 * f0
    assert float(trainability([f1, f2])) < -1e5
