"""The plain cell of the published code, one module for each edge and operation: the reference for the batched cell."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from search_spaces.cell import Cell
from search_spaces.nasbench201 import EDGES, OPERATIONS
from search_spaces.network import Network


def plain_operation(name: str, channels: int, affine: bool) -> nn.Module:
    match name:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity()
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case "nor_conv_1x1" | "nor_conv_3x3":
            kernel = int(name[-1])
            convolution = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
            return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(channels, affine=affine))
    raise KeyError(name)


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0


class PlainCell(nn.Module):
    """Every edge computes every operation on its own and adds the weighted results."""

    def __init__(self, channels: int, affine: bool = False) -> None:
        super().__init__()
        self.cell_type = "cell"
        self.operations = nn.ModuleList(
            nn.ModuleList(plain_operation(name, channels, affine) for name in OPERATIONS) for _ in EDGES
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            total = torch.zeros_like(x)
            for edge, (source, destination) in enumerate(EDGES):
                if destination == node:
                    outputs = [operation(nodes[source]) for operation in self.operations[edge]]
                    total = total + sum(w * y for w, y in zip(weights[edge], outputs, strict=True))
            nodes.append(total)
        return nodes[-1]

    @torch.no_grad()
    def load(self, cell: Cell) -> None:
        """Take over the weights of a batched cell."""
        for group in cell.groups:
            batched = cell.operations[group.key].state_dict()
            for row, edge in enumerate(group.edges):
                for name, tensor in self.operations[edge][OPERATIONS.index(group.operation)].state_dict().items():
                    if tensor.dim():
                        layer, _, kind = name.partition(".")
                        key = {"1": "conv", "2": "norm"}[layer] + "." + kind
                        tensor.copy_(batched[key].unflatten(0, (len(group.edges), -1))[row])


class PlainNetwork(nn.Module):
    """A network of `NASBench201` with the same weights, its cells replaced by plain ones."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        network = copy.deepcopy(network)
        self.stem, self.head = network.stem, network.head
        self.trunk = nn.ModuleList(plain(layer) if isinstance(layer, Cell) else layer for layer in network.trunk)

    def forward(self, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
        x = self.stem(x)
        for layer in self.trunk:
            x = layer(x, weights["cell"]) if isinstance(layer, PlainCell) else layer(x)
        return self.head(x)


def plain(cell: Cell) -> PlainCell:
    convolution = next(parameter for name, parameter in cell.named_parameters() if name.endswith("conv.weight"))
    affine = any(name.endswith("norm.weight") for name, _ in cell.named_parameters())
    reference = PlainCell(channels=convolution.shape[1], affine=affine).to(convolution.dtype)
    reference.load(cell)
    return reference
