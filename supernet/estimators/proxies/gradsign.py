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


class GradSign(Proxy):
    """How much the signs of the images' gradients agree; each image is normalised by itself."""

    uses_labels = True
    normalisation = "instance"

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `gradsign`."""
        return float(gradsign(network, images, labels))


def gradsign(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum_w | sum_i sign(dL_i / dw) |``: a scalar in float64. Images must not influence each other."""
    total = images.new_zeros((), dtype=torch.float64)
    for _, passage in passages(network, images, losses(labels)):
        if passage is not None:
            total += passage.weight_gradients().sign().sum(dim=0).abs().sum(dtype=torch.float64)
    return total
