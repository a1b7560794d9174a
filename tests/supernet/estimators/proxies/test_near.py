import math

import numpy as np
import pytest
import torch
from torch import nn

from supernet.estimators.proxies.near import NEAR, effective_ranks, near
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_effective_ranks_worked_by_hand():
    matrices = torch.stack([torch.eye(3), torch.ones(3, 3), torch.zeros(3, 3), torch.diag(torch.tensor([3.0, 1, 0]))])
    uneven = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert effective_ranks(matrices).tolist() == pytest.approx([3, 1, 0, uneven])
    assert effective_ranks(torch.ones(1, 2, 5)).tolist() == pytest.approx([1])


@pytest.mark.parametrize("position", [0.0, 0.4, 1 - 1e-9])
def test_it_is_the_sum_over_published_modules(position):
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    network = SMALL.network(architecture).double().train()
    reference, images = Published(network, SMALL, architecture).train(), task().samples.batch(7)[0].double()
    ranks = []

    def add(output):
        if output.dim() == 2:
            rows = output[: output.shape[1]]
        else:  # pixels down the columns of each image, one image after another
            pixels = np.concatenate([image.permute(2, 1, 0).flatten(0, 1).numpy() for image in output])
            channels, height = output.shape[1], output.shape[2]
            starts = [row for row in range(0, len(pixels), height) if row + channels <= len(pixels)] or [0]
            start = starts[int(position * len(starts))]
            rows = pixels[start : start + channels]
        values = np.linalg.svd(np.asarray(rows), compute_uv=False)
        shares = values[values > 1e-14] / values.sum()
        ranks.append(math.exp(-(shares * np.log(shares)).sum()) if len(shares) else 0.0)

    for module in reference.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear | nn.ReLU):
            module.register_forward_hook(lambda module, inputs, output: add(output))
        if hasattr(module, "norm_a"):  # a reduction block, whose ReLUs are calls
            module.register_forward_pre_hook(lambda module, inputs: add(inputs[0].relu()))
            module.norm_a.register_forward_hook(lambda module, inputs, output: add(output.relu()))
    with torch.no_grad():
        reference(images)
        ours = float(near(network, images, position))
    # Stem 2, head 3, reductions 2 * (5 layers and 2 ReLUs), cells 3 * 4 * 3.
    assert len(ranks) == 2 + 3 + 2 * 7 + 36
    assert ours == pytest.approx(sum(ranks), rel=1e-6)


def test_the_stretch_is_drawn():
    net, (images, labels) = SMALL.network(SMALL.parse(TEXT)).double().train(), task().samples.batch(7)
    torch.manual_seed(4)
    position = float(torch.rand(()))
    with torch.no_grad():
        expected = float(near(net, images.double(), position))
    torch.manual_seed(4)
    assert NEAR(task(), batch_size=7).measure(net, images.double(), labels) == expected


def test_what_is_not_finite_has_no_rank():
    assert effective_ranks(torch.tensor([[[1.0, torch.inf], [0.0, 1.0]]])).isnan().all()
