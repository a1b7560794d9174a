"""What a loss says about each single weight, by backward passes: the common part of SNIP, GraSP and their kin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.proxies.layers import weight_gradients, weights


def loss_gradients(network: nn.Module, images: Tensor, labels: Tensor, create_graph: bool = False) -> list[Tensor]:
    """The gradient of the mean cross-entropy for each of `layers.weights`."""
    return weight_gradients(F.cross_entropy(network(images), labels), network, create_graph)


def products(network: nn.Module, gradients: Sequence[Tensor]) -> list[Tensor]:
    """``w * g`` for each of `layers.weights`."""
    return [(weight * gradient).detach() for weight, gradient in zip(weights(network), gradients, strict=True)]


def total(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of all entries: a scalar in float64, because a network has millions of them."""
    return torch.stack([tensor.sum(dtype=torch.float64) for tensor in tensors]).sum()
