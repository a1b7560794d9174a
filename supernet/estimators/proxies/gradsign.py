"""GradSign: in how many weights the images of a batch agree about the direction to go.

Zhang and Jia, "GradSign: Model Performance Inference with Theoretical Insights", 2022, arXiv:2110.08616.
As in its code the images pass through the network one by one, so that none has an influence on another by batch norms,
and the weights are those of convolutions and linear layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.sample_gradients import losses, passages

ROUNDING = 100  # units in the last place of one


class GradSign(Proxy):
    """How much the signs of the images' gradients agree; each image is normalised by itself."""

    uses_labels = True
    normalisation = "instance"
    dtype = torch.float64  # small gradients count as much as large ones, down to their rounding errors

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `gradsign`."""
        return float(gradsign(network, images, labels))


def gradsign(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum_w | sum_i sign(dL_i / dw) |``: a scalar in float64. Images must not influence each other.

    What is zero but for rounding has no sign: the weights of an output, or for an input, whose whole gradient is. In
    DARTS's space that is half of all: the mean over the pixels of what has just been normalised depends neither on the
    images nor on the weights of the operations before. Not a number where a gradient is not finite.
    """
    total = images.new_zeros((), dtype=torch.float64)
    nothing = ROUNDING * torch.finfo(images.dtype).eps  # the gradient of the logits, where all come from, is at most 1
    for _, passage in passages(network, images, losses(labels)):
        if passage is not None:
            gradients = (
                passage.gradients @ passage.inputs.mT
            )  # (batch, groups, outputs of a group, weights of an output)
            sizes = gradients.abs()
            largest = sizes.amax(3, keepdim=True)
            there = (largest > nothing) & (sizes.amax((1, 2), keepdim=True) > nothing)
            agreeing = (gradients.sign() * there).sum(dim=0).abs().sum(dtype=torch.float64)
            total += agreeing.masked_fill(~largest.isfinite().all(), torch.nan)
    return total
