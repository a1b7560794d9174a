import math

import pytest
import torch

from supernet.errors import UserError
from supernet.selection.base import prepare, require_finite
from tests.supernet.searches import images, module


def test_the_module_goes_where_the_images_are():
    """Lightning takes a module back to the processor after `fit`; images stay on the device."""
    search, data = module(), images()
    data.device = torch.device("meta")
    prepare(search, data)
    assert (
        search.device.type == search.network.stem[0].weight.device.type == search.alphas["cell"].device.type == "meta"
    )


def test_choices_and_noise_are_a_function_of_the_seed():
    def draws(seed: int) -> tuple[float, float]:
        generator = prepare(module(seed=seed), images())
        return float(torch.rand((), generator=generator)), float(torch.rand(()))

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_one_finite_score_is_enough_to_choose_by():
    require_finite([math.nan, -math.inf, 0.0])
    with pytest.raises(UserError, match="not one of 3 architectures has a finite score"):
        require_finite([math.nan, -math.inf, math.inf])
