"""How the weights of an untrained network are drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.layers import layers

Initialisation = Literal["default", "kaiming_fan_in", "kaiming_fan_out", "normal"]
"""``default``: as the layers do themselves; ``kaiming_*``: normal, with ReLU's gain; ``normal``: standard normal."""


@torch.no_grad()
def initialise(network: nn.Module, how: Initialisation) -> None:
    """Draw the weights of convolutions and linear layers anew; their biases become 0, batch norms 1 and 0.

    A layer that serves several edges is drawn as so many layers, with the fan of one.
    """
    if how not in get_args(Initialisation):
        raise ValueError(f"initialisation is {how!r}: it must be one of {', '.join(get_args(Initialisation))}")
    if how == "default":
        return
    draw: dict[Initialisation, Callable[[Tensor], Tensor]] = {
        "kaiming_fan_in": functools.partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
        "kaiming_fan_out": functools.partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
        "normal": nn.init.normal_,
    }
    for layer in layers(network):
        for weight in layer.split(layer.module.weight):
            draw[how](weight)
        if layer.module.bias is not None:
            nn.init.zeros_(layer.module.bias)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
