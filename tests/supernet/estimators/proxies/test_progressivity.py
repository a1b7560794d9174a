import math

import pytest
import torch

from supernet.estimators.proxies.progressivity import Progressivity, ProgressivityOnImages, progressivity


def directions(shares):
    """A feature map whose covariance has these eigenvalues: orthogonal cosines of these variances."""
    points = torch.arange(16, dtype=torch.float64)
    rows = [math.sqrt(share) * torch.cos(2 * math.pi * k * points / 16) for k, share in enumerate(shares, start=1)]
    return torch.stack(rows)[None, :, :, None]


def test_it_is_the_least_gain_of_entropy_from_one_map_to_the_next():
    one, two, four = directions([3.0]), directions([1.0, 1.0]), directions([2.0] * 4)
    gain = math.log(2)
    assert float(progressivity([one, two, four])) == pytest.approx(gain)
    assert float(progressivity([two, four, two])) == pytest.approx(-gain)
    assert float(progressivity([one, four])) == pytest.approx(2 * gain)
    assert float(progressivity([two, two, four])) == pytest.approx(0, abs=1e-9)


def test_both_forms_differ_in_what_they_look_at():
    assert (Progressivity.input, Progressivity.initialisation) == ("noise", "kaiming_fan_in")
    assert (ProgressivityOnImages.input, ProgressivityOnImages.initialisation) == ("images", "default")
