"""The norm of the weights as they are drawn: it grows with the number and the size of the layers.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import per_edge, weights


class L2Norm(Proxy):
    """The sum over layers of the norm of the weight; images do not matter."""

    input = "ones"

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `l2_norm`."""
        return float(l2_norm(network))


@torch.no_grad()
def l2_norm(network: nn.Module) -> Tensor:
    """``sum_l ||W_l||_2`` over convolutions and linear layers: a scalar."""
    return torch.stack([part.norm() for part in per_edge(network, weights(network))]).sum()
