"""Plain saliency: weight times gradient, with its sign.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134. On
NAS-Bench-201 it ranks the wrong way round; it is here for comparison.

A weight before a batch norm is orthogonal to its gradient, so that only a few layers contribute, and one
initialisation hardly says what another will: Kendall's tau between two of them was -0.06 to 0.18 (60 architectures).
"""

from __future__ import annotations

from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.saliency import loss_gradients, products, total


class Plain(Proxy):
    """The sum over all weights of weight times gradient."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `plain`."""
        return float(plain(network, images, labels))


def plain(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum w * dL/dw`` over convolutions and linear layers: a scalar."""
    return total(products(network, loss_gradients(network, images, labels)))
