import math

import numpy as np
import pytest
import torch

from supernet.estimators.proxies.expressivity import Expressivity, entropies
from supernet.estimators.proxies.features import features
from tests.supernet.estimators.tasks import network, task


def maps(rows):
    """A feature map of one image whose channels have these values."""
    return torch.tensor(rows, dtype=torch.float64)[None, :, :, None]


def test_entropies_worked_by_hand():
    alike = maps([[1.0, -1, 1, -1], [1.0, -1, 1, -1]])  # one direction only
    even = maps([[1.0, -1, 1, -1], [1.0, 1, -1, -1]])  # two of the same variance
    uneven = maps([[2.0, -2, 2, -2], [5.0, 5, 3, 3]])  # variances 4 and 1; the mean does not matter
    expected = [0, math.log(2), -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))]
    assert entropies([alike, even, uneven]).tolist() == pytest.approx(expected, abs=1e-9)


def test_a_map_without_variance_has_none():
    assert entropies([torch.full((2, 3, 4, 4), 0.5)]).isnan().all()


def test_the_score_is_their_sum_over_the_maps_of_a_network():
    net, (images, labels) = network().double(), task().samples.batch(6)
    with torch.no_grad():
        found = features(net, images.double())[1]
    expected = 0.0
    for feature in found:
        pixels = feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1]).numpy()
        shares = np.linalg.eigvalsh(np.cov(pixels.T))
        shares = shares[shares > 0] / shares.sum()
        expected -= float((shares * np.log(shares)).sum())
    assert Expressivity(task(), batch_size=6).measure(net, images.double(), labels) == pytest.approx(expected)


def test_it_looks_at_noise_in_a_network_of_kaimings_variance():
    assert (Expressivity.input, Expressivity.initialisation, Expressivity.normalisation) == (
        "noise", "kaiming_fan_in", "batch",
    )  # fmt: skip


def test_maps_that_are_not_finite_have_no_entropy():
    maps = torch.randn(2, 3, 4, 4)
    maps[0, 0, 0, 0] = torch.nan
    assert entropies([maps]).isnan().all()
