"""Rebuilding a supernet in the middle of a search: fewer operations, more channels, other cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from search_spaces.network import Network


@torch.no_grad()
def transfer(network: Network, parent: Network, maps: Mapping[str, Mapping[str, Tensor]] | None, rescale: bool) -> None:
    """Give a network the weights and statistics of one that contains it, wider where there are ``maps``."""
    network.load(network.adopt(parent, parent.state_dict(), maps, rescale))


@torch.no_grad()
def transfer_optimizer(
    optimizer: Optimizer,
    network: Network,
    parent: Network,
    maps: Mapping[str, Mapping[str, Tensor]] | None,
    rescale: bool,
) -> None:
    """Point an optimizer of the parent's weights at the network's, and give its state to them.

    Momentum is cut and repeated exactly as the weights are; what is no tensor of a weight's shape (a count of steps) is
    kept. The schedule of the learning rate goes on.
    """
    names = [name for name, _ in parent.named_parameters()]
    old = dict(parent.named_parameters())
    kept: dict[str, dict[str, Any]] = {name: dict(optimizer.state.get(old[name], {})) for name in names}
    new = dict(network.named_parameters())
    state: dict[str, dict[str, Any]] = {name: {} for name in new}
    for key in {key for entry in kept.values() for key in entry}:
        shaped = {
            name: entry[key]
            for name, entry in kept.items()
            if isinstance(entry.get(key), Tensor) and entry[key].shape == old[name].shape
        }
        for name, tensor in network.adopt(parent, shaped, maps, rescale).items():
            if name in new and tensor.shape == new[name].shape:
                state[name][key] = tensor.clone()
        for name, entry in kept.items():
            if key in entry and name not in shaped and name in new:
                state[name][key] = entry[key]
    replace_parameters(optimizer, list(new.values()))
    for name, entry in state.items():
        if entry:
            optimizer.state[new[name]] = entry


def replace_parameters(optimizer: Optimizer, parameters: list[Any]) -> None:
    """Point an optimizer with one group at other parameters, and forget what it remembers."""
    (group,) = optimizer.param_groups
    group["params"] = parameters
    optimizer.state.clear()


@torch.no_grad()
def forget(optimizer: Optimizer, allowed: Mapping[Parameter, Tensor]) -> None:
    """Remove what an optimizer remembers of the entries that are ruled out, which would still move them."""
    for parameter, table in allowed.items():
        for value in optimizer.state.get(parameter, {}).values():
            if isinstance(value, Tensor) and value.shape == table.shape:
                value.masked_fill_(~table, 0.0)
