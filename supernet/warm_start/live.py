"""How many layers of a network take part: a control for scores that are sums over layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import per_edge, weight_gradients


class LiveConvolutions(Proxy):
    """The number of convolutions and linear layers on a path from input to output."""

    input = "noise"
    dtype = torch.float64

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `live_layers`."""
        return float(live_layers(network, images))


def live_layers(network: nn.Module, images: Tensor) -> int:
    """The layers of which the logits depend on the weight, counted for each edge.

    A layer that gets nothing but zeros, or whose output is not used, has a gradient of exactly zero; any other one has
    not, for logits that count differently for every image and class.
    """
    logits = network(images)
    probe = torch.linspace(1.0, 2.0, logits.numel(), dtype=logits.dtype, device=logits.device).square()
    gradients = weight_gradients((logits * probe.view_as(logits)).sum(), network)
    return sum(bool((part != 0).any()) for part in per_edge(network, gradients))
