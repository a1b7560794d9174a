"""The layers of a network as the papers count them: one for each edge, although edges are computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """A convolution or a linear layer, which may serve several edges at once.

    Attributes:
        name: in the network.
        module: the layer.
        copies: how many edges it serves; their outputs lie side by side in its channels.
    """

    name: str
    module: nn.Conv2d | nn.Linear
    copies: int

    def split(self, tensor: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
        """A tensor whose dimension ``dim`` is ``copies * channels``, as one view for each edge."""
        return tensor.unflatten(dim, (self.copies, -1)).unbind(dim)


def layers(network: nn.Module) -> list[Layer]:
    """All convolutions and linear layers, in the order of their registration."""
    return [
        Layer(name, module, int(getattr(module, "copies", 1)))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]


def weights(network: nn.Module) -> list[Tensor]:
    """The weight of each layer of `layers`."""
    return [layer.module.weight for layer in layers(network)]


def weight_gradients(
    scalar: Tensor, network: nn.Module, create_graph: bool = False, retain_graph: bool | None = None
) -> list[Tensor]:
    """The gradient of a scalar for each of `weights`, zero where it does not depend on them."""
    return list(
        torch.autograd.grad(
            scalar, weights(network), create_graph=create_graph, retain_graph=retain_graph,
            allow_unused=True, materialize_grads=True,
        )
    )  # fmt: skip


def per_edge(network: nn.Module, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of the form of `weights`, split so that each edge has its own."""
    return [part for layer, tensor in zip(layers(network), tensors, strict=True) for part in layer.split(tensor)]
