"""The feature maps of a network: what its stem gives, and each of the layers after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.cell import Cell
from search_spaces.operations import Operation


def features(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One pass: the logits, and ``f_0 .. f_L``, the outputs of the stem and of every cell and fixed layer behind it.

    The maps ``(batch, channels, h, w)`` are those the logits are computed from, so that gradients can be taken with
    respect to them. A cell that is a chain of layers, as in NAS-Bench-Macro, gives the values of its nodes, but for
    those of layers that are the identity: such a layer is one that the network does not have.

    Raises ValueError for a network that has no ``stem`` and ``trunk``.
    """
    with recorded(network) as found:
        return network(images), found


@contextlib.contextmanager
def recorded(network: nn.Module) -> Iterator[list[Tensor]]:
    """A list that the next pass fills with `features`."""
    found: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        found.append(output)

    def record_new(value: Tensor) -> None:
        if found[-1].shape != value.shape or not torch.equal(found[-1], value):
            found.append(value)

    stem, trunk = _stem_and_trunk(network)
    hooks = [stem.register_forward_hook(record)]
    for layer in trunk:
        if isinstance(layer, Cell) and _is_a_chain(layer):
            for operation in layer.operations.values():
                hooks.append(operation.register_forward_pre_hook(lambda module, inputs: record_new(inputs[0])))
            hooks.append(layer.register_forward_hook(lambda module, inputs, output: record_new(output)))
        else:
            hooks.append(layer.register_forward_hook(record))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _stem_and_trunk(network: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    for module in network.modules():
        stem, trunk = getattr(module, "stem", None), getattr(module, "trunk", None)
        if isinstance(stem, nn.Module) and isinstance(trunk, nn.ModuleList):
            return stem, trunk
    raise ValueError(f"{type(network).__name__} has no stem and trunk, whose outputs are asked for")


def _is_a_chain(cell: Cell) -> bool:
    """Whether each node leads to the next one only, and the operations take the nodes' values as they are."""
    chained = cell.leaving == [(node + 1,) for node in range(len(cell.channels) - 1)]
    return chained and not any(isinstance(one, Operation) and one.takes_relu for one in cell.operations.values())
