"""SNIP: how much the loss depends on the presence of each weight.

Lee, Ajanthan and Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", 2019, arXiv:1810.02340; as
a score of architectures Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from supernet.estimators.proxies.one_pass import Need, OnePass, Pass
from supernet.estimators.proxies.saliency import products, total


class SNIP(OnePass):
    """The sum over all weights of the connection sensitivity."""

    uses_labels = True
    needs: ClassVar[frozenset[Need]] = frozenset({"loss_gradients"})

    def of(self, seen: Pass) -> float:
        """See `snip`."""
        return float(snip(seen.network, seen.loss_gradients))


def snip(network: nn.Module, gradients: Sequence[Tensor]) -> Tensor:
    """``sum |w * dL/dw|`` over convolutions and linear layers, from `loss_gradients`: a scalar."""
    return total([part.abs() for part in products(network, gradients)])
