"""NASWOT: how well the ReLUs of an untrained network tell the images of a batch apart.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", 2021, arXiv:2006.04647, equations 1
and 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.activations import activations
from supernet.estimators.proxies.base import Proxy


class NASWOT(Proxy):
    """The log-determinant of the kernel of binary activation codes."""

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `naswot`."""
        return float(naswot(network, images))


@torch.no_grad()
def naswot(network: nn.Module, images: Tensor) -> Tensor:
    """``log |det K|``, where ``K_ij`` counts the units that are active for both or for neither of two images: a scalar.

    Minus infinity where two images have the same code.
    """
    kernel = images.new_zeros(len(images), len(images), dtype=torch.float64)
    for activation in activations(network, images)[1]:
        values = activation.values.movedim(1, -1).flatten(1)  # a view of channels-last maps; units have no order
        code = torch.gt(values, 0, out=torch.empty_like(values, dtype=torch.float32))  # without a pass over booleans
        both = code @ code.T
        active = both.diagonal()
        # (1 - B)(1 - B)' = units - active_i - active_j + BB'
        kernel += activation.count * (2 * both + code.shape[1] - active[:, None] - active[None, :]).double()
    if len(kernel.unique(dim=0)) < len(kernel):  # whose determinant is zero, which rounding would hide
        return kernel.new_full((), -torch.inf)
    return torch.linalg.slogdet(kernel).logabsdet
