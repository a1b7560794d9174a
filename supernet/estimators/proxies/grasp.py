"""GraSP: how the presence of each weight changes the norm of the gradient.

Wang, Zhang and Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow", 2020, arXiv:2002.07376,
equation 8; as a score of architectures Abdelfattah et al., 2021, arXiv:2101.08134, whose sign this is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import weight_gradients
from supernet.estimators.proxies.saliency import loss_gradients, products, total


class GraSP(Proxy):
    """The sum over all weights of ``-w * Hg``."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `grasp`."""
        return float(grasp(network, images, labels))


def grasp(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum -w * (H g)`` over convolutions and linear layers, g and H of the loss: a scalar."""
    gradients = loss_gradients(network, images, labels, create_graph=True)
    held = [gradient.detach() for gradient in gradients]
    product = torch.stack([(gradient * fixed).sum() for gradient, fixed in zip(gradients, held, strict=True)]).sum()
    return -total(products(network, weight_gradients(product, network)))
