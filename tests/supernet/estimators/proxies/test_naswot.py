import math

import numpy as np
import pytest
import torch
from torch import nn

from supernet.estimators.proxies.naswot import naswot
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_it_is_the_kernel_of_codes_summed_over_the_relus_of_published_modules():
    architecture = SMALL.parse(TEXT)
    network = SMALL.network(architecture).train()
    reference, (images, _) = Published(network, SMALL, architecture), task().samples.batch(8)
    kernel = np.zeros((8, 8))

    def hook(module, inputs, output):
        code = (inputs[0].flatten(1) > 0).numpy().astype(float)
        kernel[:] += code @ code.T + (1 - code) @ (1 - code).T

    for module in reference.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(hook)
    reductions = [layer for layer in network.trunk if not hasattr(layer, "cell_type")]
    with torch.no_grad():
        reference(images)
    assert len(reductions) == 2  # their ReLUs are calls and not modules, so they are added by hand
    inside = []
    for layer in reductions:
        layer.register_forward_pre_hook(lambda layer, inputs: inside.append(inputs[0]))
        layer.norm_a.register_forward_hook(lambda layer, inputs, output: inside.append(output))
    with torch.no_grad():
        ours = float(naswot(network, images))
    for values in inside:
        code = (values.flatten(1) > 0).numpy().astype(float)
        kernel += code @ code.T + (1 - code) @ (1 - code).T
    assert math.isclose(ours, np.linalg.slogdet(kernel)[1], rel_tol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layout_of_the_images_does_not_matter(dtype):
    network, (images, _) = SMALL.network(SMALL.parse(TEXT)).train().to(dtype), task().samples.batch(8)
    first, last = (
        float(naswot(network, images.to(dtype, memory_format=layout)))
        for layout in (torch.contiguous_format, torch.channels_last)
    )
    assert math.isclose(first, last, rel_tol=1e-5 if dtype == torch.float32 else 1e-12)


def test_equal_codes_score_minus_infinity():
    network, (images, _) = SMALL.network(SMALL.parse(TEXT)).train(), task().samples.batch(4)
    assert float(naswot(network, images[:1].repeat(4, 1, 1, 1))) == -math.inf


@pytest.mark.parametrize("seed", range(4))
def test_two_equal_codes_among_many_score_minus_infinity(seed):
    torch.manual_seed(seed)
    network, (images, _) = SMALL.network(SMALL.parse(TEXT)).train(), task().samples.batch(20)
    assert math.isfinite(float(naswot(network, images)))
    assert float(naswot(network, torch.cat([images, images[:1]]))) == -math.inf
