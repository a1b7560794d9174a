"""KNAS and NASWOT as published code computes them, for `benchmarks.scores`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.proxies.layers import weight_gradients


def loop(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The mean of the Gram matrix of the images' gradients, each from a pass of its own, summed over layers."""
    rows = [
        weight_gradients(F.cross_entropy(network(images[[index]]), labels[[index]]), network)
        for index in range(len(images))
    ]
    return sum(gram_of_all(torch.stack(column)) for column in zip(*rows, strict=True))


def gram_of_all(gradients: Tensor) -> float:
    """The mean of the Gram matrix of ``(batch, ...)``."""
    rows = gradients.flatten(1)
    return float((rows @ rows.T).mean(dtype=torch.float64))


def hooked(network: nn.Module, images: Tensor) -> float:
    """NASWOT as its code has it."""
    inputs = images.clone().requires_grad_()
    logits = network(inputs)
    logits.backward(torch.ones_like(logits))
    kernel = images.new_zeros(len(images), len(images))

    def add(x: Tensor) -> None:
        code = (x.flatten(1) > 0).to(x)
        kernel.add_(code @ code.T + (1 - code) @ (1 - code).T)

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            hooks.append(module.register_forward_hook(lambda module, inputs, output: add(inputs[0])))
        if hasattr(module, "shortcut"):  # its ReLUs are calls
            hooks.append(module.register_forward_pre_hook(lambda module, inputs: add(inputs[0])))
            hooks.append(module.norm_a.register_forward_hook(lambda module, inputs, output: add(output)))
    network(images)
    for hook in hooks:
        hook.remove()
    return float(torch.linalg.slogdet(kernel.detach().double()).logabsdet)
