"""The parameters of a network in the order in which published code lists them: edge by edge.

This package computes edges together that leave the same node, so that its parameters come in the order of nodes and
operations, several edges in one tensor. Published networks (those of DARTS and of NAS-Bench-201) have one module for
each edge, ordered by the node it leads to and then by the node it leaves; before them the cell's preprocessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from search_spaces.cell import Cell


@dataclass(frozen=True)
class Part:
    """A parameter of one edge, or of a layer outside the cells.

    Attributes:
        name: of the tensor in the network.
        copy: which part of the tensor's dimension 0 it is.
        copies: of how many.
        size: its number of entries.
    """

    name: str
    copy: int
    copies: int
    size: int

    def of(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """The part of a tensor whose dimension ``dim`` is the parameter's dimension 0."""
        return tensor.unflatten(dim, (self.copies, -1)).select(dim, self.copy)


def published_order(network: nn.Module) -> list[Part]:
    """All parameters; outside of cells in the order of their registration."""
    found: list[Part] = []
    for name, module in network.named_modules():
        if isinstance(module, Cell):
            found += _of_cell(module, name)
        elif not _inside_a_cell(network, name):
            found += [part for parts in _own(module, name) for part in parts]
    return found


def _inside_a_cell(network: nn.Module, name: str) -> bool:
    steps = name.split(".")
    return any(isinstance(network.get_submodule(".".join(steps[:end])), Cell) for end in range(1, len(steps)))


def _of_cell(cell: Cell, prefix: str) -> list[Part]:
    before = [
        part
        for name, module in cell.preprocess.named_modules(prefix=f"{prefix}.preprocess")
        for parts in _own(module, name)
        for part in parts
    ]
    placed: list[tuple[tuple[int, int, int], Part]] = []
    for group in cell.groups:
        operation = cell.operations[group.key]
        tensors = [
            parts
            for name, module in operation.named_modules(prefix=f"{prefix}.operations.{group.key}")
            for parts in _own(module, name)
        ]
        for position, parts in enumerate(tensors):
            placed += [((group.edges[part.copy], group.index, position), part) for part in parts]
    return before + [part for _, part in sorted(placed, key=lambda pair: pair[0])]


def _own(module: nn.Module, prefix: str) -> list[list[Part]]:
    """For each parameter of the module itself its parts."""
    copies = cast(int, getattr(module, "copies", 1))
    return [
        [Part(f"{prefix}.{name}", copy, copies, parameter.numel() // copies) for copy in range(copies)]
        for name, parameter in module.named_parameters(recurse=False)
    ]
