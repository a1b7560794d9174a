"""SynFlow: how much can flow from input to output, without any data.

Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving synaptic flow",
2020, arXiv:2006.05467; as a score of architectures Abdelfattah et al., 2021, arXiv:2101.08134.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import weight_gradients
from supernet.estimators.proxies.saliency import products, total


class SynFlow(Proxy):
    """The logarithm of the sum of the synaptic saliencies; the logarithm changes no ranking.

    Batch norms are bypassed: they would undo what accumulates, and without them the sum spans many orders of magnitude,
    hence the double precision.
    """

    input = "ones"
    normalisation = "identity"
    dtype = torch.float64

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `synflow`."""
        return float(synflow(network, images).log())


def synflow(network: nn.Module, images: Tensor) -> Tensor:
    """``sum |w * dR/dw|`` with R the sum of the logits and all parameters made positive: a scalar.

    The parameters stay positive: the network is changed.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    return total([part.abs() for part in products(network, weight_gradients(network(images).sum(), network))])
