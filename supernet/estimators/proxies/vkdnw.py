"""VKDNW: how evenly the Fisher information of a network is spread over its layers.

Tybl and Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights",
2025 (CVPR), and its code, which ranks by the number of parameter tensors first and by the entropy among equals.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers import per_channel
from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy

SMOOTHING = 0.05  # the share of the uniform distribution in the class probabilities
DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
EPSILON = 1e-10


class VKDNWEntropy(Proxy):
    """The entropy alone; at most ``log 9``.

    Args:
        task: what is scored.
        batch_size: images in a batch.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        coordinates: how many parameter tensors are looked at, the first ones that are used.
    """

    input = "noise"
    initialisation = "kaiming_fan_in"
    normalisation = "identity"

    def __init__(
        self, task: Task, batch_size: int = 64, batches: int = 1, inits: int = 1, coordinates: int = 128
    ) -> None:
        super().__init__(task, batch_size, batches, inits)
        if coordinates < 1:
            raise ValueError(f"coordinates is {coordinates}: it must be at least 1")
        self.coordinates = coordinates

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `entropy`."""
        jacobians, logits = jacobian(network, images, self.coordinates)
        information = fisher(jacobians, logits)
        if not bool(information.isfinite().all()):  # the solver would fail
            return math.nan
        return float(entropy(torch.linalg.eigvalsh(information)))


class VKDNW(VKDNWEntropy):
    """The number of parameter tensors plus the entropy, which decides between networks of equally many."""

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `parameter_tensors` and `entropy`."""
        return parameter_tensors(network) + super().measure(network, images, labels)


def entropy(eigenvalues: Tensor) -> Tensor:
    """``V = -sum_k q_k log q_k``, where ``q`` are the nine deciles of the eigenvalues as shares of their sum."""
    deciles = torch.quantile(eigenvalues.clamp_min(0), eigenvalues.new_tensor(DECILES))
    shares = deciles / (deciles.sum() + EPSILON)
    return -(shares * (shares + EPSILON).log()).sum()


def fisher(jacobians: Tensor, logits: Tensor) -> Tensor:
    """``F = mean_i J_i' (diag p_i - p_i p_i') J_i``, in float64: ``(coordinates, coordinates)``.

    Args:
        jacobians: ``J (batch, classes, coordinates)``.
        logits: ``(batch, classes)``; ``p`` are their smoothed softmax.
    """
    p = logits.double().softmax(dim=1) * (1 - SMOOTHING) + SMOOTHING / logits.shape[1]
    covariance = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return (jacobians.double().mT @ covariance @ jacobians.double()).mean(dim=0)


def parameter_tensors(network: nn.Module) -> int:
    """Weights and biases of all layers; for each edge its own."""
    return sum(
        int(getattr(module, "copies", 1)) * len(list(module.parameters(recurse=False))) for module in network.modules()
    )


def jacobian(network: nn.Module, images: Tensor, coordinates: int) -> tuple[Tensor, Tensor]:
    """The derivatives ``(batch, classes, coordinates)`` of the logits of each image, and the logits.

    A coordinate is the first entry of a parameter tensor, of one for each edge. Its derivative is the gradient at the
    output channel that it feeds times what it is multiplied with there, summed over pixels, so that one backward pass
    for each class gives those of all images. Batch norms must not couple the images: see `normalised`, ``identity``.
    """
    outputs: list[Tensor] = []
    factors: list[tuple[Tensor, Tensor]] = []  # n channels of an output, and what n coordinates are multiplied with

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if sum(len(channels) for channels, _ in factors) < coordinates:
            outputs.append(output)
            factors.append(_factors(module, inputs, _channels_first(output)))

    hooks = [
        module.register_forward_hook(record)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear) and list(module.parameters(recurse=False))
    ]
    try:
        logits = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    rows = []
    for total in logits.sum(dim=0):
        gradients = torch.autograd.grad(total, outputs, retain_graph=True, allow_unused=True, materialize_grads=True)
        products = [
            _channels_first(gradient)[:, channels] * factor
            for gradient, (channels, factor) in zip(gradients, factors, strict=True)
        ]
        found = [product.reshape(*product.shape[:2], -1).sum(dim=2) for product in products]
        rows.append(torch.cat(found, dim=1)[:, :coordinates])
    return torch.stack(rows, dim=1), logits.detach()


@torch.no_grad()
def _factors(module: nn.Module, inputs: tuple[Any, ...], y: Tensor) -> tuple[Tensor, Tensor]:
    """For the first entries of a layer's parameters the channels ``(n,)`` of its output and ``(batch, n, h, w)``."""
    copies = int(getattr(module, "copies", 1))
    firsts = torch.arange(copies, device=y.device) * (y.shape[1] // copies)
    found = [_multiplied(module, inputs[0], firsts, y)]
    if module.bias is not None:
        found.append(torch.ones_like(y[:, firsts]))
    if isinstance(module, nn.BatchNorm2d) and len(inputs) > 1 and inputs[1] is not None:  # mixing weights
        weights = per_channel(inputs[1], y.shape[1] // copies)[:, 0]
        found = [factor * weights.to(factor)[:, None, None] for factor in found]
    return firsts.repeat(len(found)), torch.cat(found, dim=1)


def _multiplied(module: nn.Module, x: Tensor, firsts: Tensor, y: Tensor) -> Tensor:
    """What the first entry of the weight of each copy is multiplied with, at every pixel of its output channel."""
    if isinstance(module, nn.Linear):
        return x[:, :1]
    if isinstance(module, nn.Conv2d):
        group = firsts // (module.out_channels // module.groups)
        (top, left), (down, across) = map(int, module.padding), module.stride
        seen = F.pad(x[:, group * (module.in_channels // module.groups)], (left, left, top, top))
        return seen[:, :, ::down, ::across][:, :, : y.shape[2], : y.shape[3]]
    return x[:, firsts]


def _channels_first(x: Tensor) -> Tensor:
    """``(batch, copies, channels, h, w)`` as ``(batch, copies * channels, h, w)``; what is not so, as it is."""
    return x.flatten(1, 2) if x.dim() == 5 else x
