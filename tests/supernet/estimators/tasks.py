"""Small tasks for estimators."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import NASBench201
from search_spaces.network import Network
from search_spaces.operations import Form
from search_spaces.space import SearchSpace
from supernet.estimators.base import Task
from supernet.estimators.proxies.one_pass import Pass
from supernet.samples import Samples
from tests.search_spaces.plain import PlainNetwork

SMALL = NASBench201(channels=4, cells_per_stage=1)


def task(space: SearchSpace = SMALL, size: int = 8, count: int = 200, seed: int = 0) -> Task:
    """Random images with random but balanced labels."""
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(count, space.in_channels, size, size, generator=generator)
    labels = torch.arange(count) % space.num_classes
    return Task(space, Samples.of(images, labels, space.num_classes, seed), seed)


def network(space: SearchSpace = SMALL, seed: int = 0, architecture: str | None = None) -> nn.Module:
    """A network of an architecture, a random valid one unless given, in training mode."""
    torch.manual_seed(seed)
    if architecture is not None:
        return space.network(space.parse(architecture)).train()
    drawn = space.sample(50, torch.Generator().manual_seed(seed))
    return space.network(next(one for one in drawn if space.is_valid(one))).train()


def input_gradients(network: nn.Module, images: Tensor) -> Tensor:
    """Those of a pass."""
    labels = torch.zeros(len(images), dtype=torch.long)
    return Pass(network, images, labels, frozenset({"input_gradients"})).input_gradients


class Absent(nn.Module):
    """In the place of an operation that an architecture does not have."""

    def forward(self, x: Tensor) -> float:
        return 0.0


class Published(nn.Module):
    """A stand-alone network as published code builds it: one module, with its own ReLU, for each edge.

    It has the weights of a batched network of this architecture.
    """

    def __init__(self, batched: Network, space: SearchSpace, architecture: Architecture) -> None:
        super().__init__()
        self.network = PlainNetwork(batched, space, Form(affine=True)).train()
        chosen = architecture.one_hot(space.operations)
        self.chosen = chosen
        for kind, layer in zip(self.network.types, self.network.trunk, strict=True):
            if kind is not None:
                for row, edge in zip(chosen[kind], layer.edges, strict=True):
                    for index in range(len(row)):
                        if not row[index] or space.operations[kind][index] == "none":
                            edge.operations[index] = Absent()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, {cell: table.to(x) for cell, table in self.chosen.items()})
