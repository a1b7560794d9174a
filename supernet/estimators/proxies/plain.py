"""Plain saliency: weight times gradient, with its sign.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134. On
NAS-Bench-201 it ranks the wrong way round; it is here for comparison.

A weight before a batch norm is orthogonal to its gradient, so that only a few layers contribute, and one
initialisation hardly says what another will: Kendall's tau between two of them was -0.06 to 0.18 (60 architectures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from supernet.estimators.proxies.one_pass import Need, OnePass, Pass
from supernet.estimators.proxies.saliency import products, total


class Plain(OnePass):
    """The sum over all weights of weight times gradient."""

    uses_labels = True
    needs: ClassVar[frozenset[Need]] = frozenset({"loss_gradients"})

    def of(self, seen: Pass) -> float:
        """See `plain`."""
        return float(plain(seen.network, seen.loss_gradients))


def plain(network: nn.Module, gradients: Sequence[Tensor]) -> Tensor:
    """``sum w * dL/dw`` over convolutions and linear layers, from `loss_gradients`: a scalar."""
    return total(products(network, gradients))
