"""Where the operations of a search space stand in its network, and what each of them costs there."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.cell import Cell
from search_spaces.network import Network, parameters
from search_spaces.space import SearchSpace

Image = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True, order=True)
class Shape:
    """What an operation computes: two places with the same shape take the same time.

    Attributes:
        operation: its name.
        stride: 1 or 2.
        input: channels, height and width of what it reads.
        output: of what it gives.
    """

    operation: str
    stride: int
    input: Image
    output: Image


@dataclass(frozen=True)
class Place:
    """One operation at one place of the stand-alone networks.

    Attributes:
        module: its name in `Survey.network`.
        cell: the cell type.
        edges: which edges may have it; they leave the same node, so that it costs the same on each of them.
        index: which of the cell type's operations it is.
        shape: what it computes.
        parameters: learnable ones.
        multiply_adds: for one image.
    """

    module: str
    cell: str
    edges: tuple[int, ...]
    index: int
    shape: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Survey:
    """All places of a space's network, and what the whole network costs.

    Attributes:
        network: has each operation once at each node that it may read, in the form in which architectures are trained.
        places: of these operations.
        parameters: learnable ones of the network, an auxiliary head left out.
        multiply_adds: of the network for one image.
    """

    network: Network
    places: tuple[Place, ...]
    parameters: int
    multiply_adds: int


def survey(space: SearchSpace, image: Image) -> Survey:
    """Count once what every architecture is put together from."""
    allowed = {cell: once(table, [source for source, _ in space.edges[cell]]) for cell, table in space.allowed.items()}
    with torch.random.fork_rng(devices=[]):
        network = space.build(allowed, searching=False).eval()
    cells = {f"trunk.{index}.": layer for index, layer in enumerate(network.trunk) if isinstance(layer, Cell)}
    modules = [f"{path}operations.{group.key}" for path, cell in cells.items() for group in cell.groups]
    sizes, flops = _trace(network, modules, image)
    places = []
    for path, cell in cells.items():
        table = space.allowed[cell.cell_type]
        sources = torch.tensor([source for source, _ in space.edges[cell.cell_type]])
        for group in cell.groups:
            module = f"{path}operations.{group.key}"
            edges = ((sources == group.source) & table[:, group.index]).nonzero().flatten().tolist()
            shape = Shape(group.operation, cell.strides[group.source], *sizes[module])
            size = parameters(network.get_submodule(module))
            places.append(Place(module, cell.cell_type, tuple(edges), group.index, shape, size, flops[module] // 2))
    return Survey(network, tuple(places), parameters(network), flops[""] // 2)


def once(allowed: Tensor, sources: list[int]) -> Tensor:
    """Of the edges ``(edges, operations)`` that leave one node and may have an operation only the first keeps it."""
    nodes = torch.tensor(sources)
    before = (nodes[:, None] == nodes).tril(-1)
    return allowed & ~((before.float() @ allowed.float()) > 0)


def _trace(network: Network, modules: list[str], image: Image) -> tuple[dict[str, tuple[Image, Image]], dict[str, int]]:
    """For each module what size it reads and gives, and two for each multiply-add; the whole network's under ``""``.

    The network runs without data, on the device ``meta``: large images take no longer than small ones.
    """
    network = copy.deepcopy(network).to("meta")
    sizes: dict[str, tuple[Image, Image]] = {}
    for name in modules:
        network.get_submodule(name).register_forward_hook(functools.partial(_note, sizes, name))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *image, device="meta"))
    counts = counter.get_flop_counts()
    root = type(network).__name__
    return sizes, {"": counter.get_total_flops()} | {
        name: sum(counts.get(f"{root}.{name}", {}).values()) for name in modules
    }


def _note(
    sizes: dict[str, tuple[Image, Image]], name: str, operation: nn.Module, inputs: tuple[Tensor], output: Tensor
) -> None:
    """Write down what an operation reads ``(batch, channels, h, w)`` and gives ``(batch, copies, channels, h, w)``."""
    sizes[name] = cast(tuple[Image, Image], (tuple(inputs[0].shape[1:]), tuple(output.shape[2:])))
