"""Gradient norm: how strongly a batch pulls at the weights of each layer.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from supernet.estimators.proxies.layers import per_edge
from supernet.estimators.proxies.one_pass import Need, OnePass, Pass


class GradNorm(OnePass):
    """The sum over layers of the norm of the weight's gradient of the cross-entropy."""

    uses_labels = True
    needs: ClassVar[frozenset[Need]] = frozenset({"loss_gradients"})

    def of(self, seen: Pass) -> float:
        """See `grad_norm`."""
        return float(grad_norm(seen.network, seen.loss_gradients))


def grad_norm(network: nn.Module, gradients: Sequence[Tensor]) -> Tensor:
    """``sum_l ||dL/dW_l||_2`` over convolutions and linear layers, from `loss_gradients`: a scalar."""
    return sum((part.norm() for part in per_edge(network, gradients)), start=gradients[0].new_zeros(()))
