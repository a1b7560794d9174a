"""Gradient norm: how strongly a batch pulls at the weights of each layer.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134, section 3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import per_edge, weight_gradients


class GradNorm(Proxy):
    """The sum over layers of the norm of the weight's gradient of the cross-entropy."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `grad_norm`."""
        return float(grad_norm(network, images, labels))


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum_l ||dL/dW_l||_2`` over convolutions and linear layers: a scalar."""
    gradients = weight_gradients(F.cross_entropy(network(images), labels), network)
    return sum((part.norm() for part in per_edge(network, gradients)), start=images.new_zeros(()))
