"""SNIP: how much the loss depends on the presence of each weight.

Lee, Ajanthan and Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", 2019, arXiv:1810.02340; as
a score of architectures Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134.
"""

from __future__ import annotations

from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.saliency import loss_gradients, products, total


class SNIP(Proxy):
    """The sum over all weights of the connection sensitivity."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `snip`."""
        return float(snip(network, images, labels))


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum |w * dL/dw|`` over convolutions and linear layers: a scalar."""
    return total([part.abs() for part in products(network, loss_gradients(network, images, labels))])
