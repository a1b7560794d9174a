"""Fisher: how much the loss depends on the presence of each channel.

Theis, Korshunova, Tejani and Huszar, "Faster gaze prediction with dense networks and Fisher pruning", 2018,
arXiv:1801.05787; for channels Turner et al., "BlockSwap", 2020, arXiv:1906.04113; as a score of architectures
Abdelfattah et al., 2021, arXiv:2101.08134.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import layers


class Fisher(Proxy):
    """The sum over the channels of all layers of the Fisher information of their presence."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `fisher`."""
        return float(fisher(network, images, labels))


def fisher(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum_c 1/2 mean_n (sum_hw a * dL/da)^2``, a the outputs of convolutions and linear layers: a scalar.

    L is the mean loss of the batch, as in the code of Abdelfattah et al.
    """
    outputs: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        outputs.append(output)

    hooks = [layer.module.register_forward_hook(record) for layer in layers(network)]
    try:
        loss = F.cross_entropy(network(images), labels)
    finally:
        for hook in hooks:
            hook.remove()
    gradients = torch.autograd.grad(loss, outputs, allow_unused=True, materialize_grads=True)
    per_layer = [
        (output * gradient).flatten(2).sum(dim=2) if output.dim() > 2 else output * gradient
        for output, gradient in zip(outputs, gradients, strict=True)
    ]
    return torch.stack([each.detach().double().square().mean(dim=0).sum() / 2 for each in per_layer]).sum()
