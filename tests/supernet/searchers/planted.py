"""A space of sixteen architectures whose scores are planted, and others that searches are tried on."""

from __future__ import annotations

import itertools

import torch

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import CELL, NASBench201

SPACE = NASBench201()
CONV = 3
OPTIMUM = Architecture.of({CELL: [CONV] * 6})
_TABLE = torch.zeros(6, 5, dtype=torch.bool)
_TABLE[:, CONV] = True
_TABLE[:4, 1] = True
CUBE = SPACE.restrict({CELL: _TABLE})
"""The first four edges have a skip or a convolution: the corners of a cube of four dimensions."""


def corner(*bits: int) -> Architecture:
    """An architecture of the cube: a convolution for a one."""
    return Architecture.of({CELL: [CONV if bit else 1 for bit in bits] + [CONV, CONV]})


CORNERS = [corner(*bits) for bits in itertools.product((0, 1), repeat=4)]


def bits(architecture: Architecture) -> tuple[int, ...]:
    """Of an architecture of the cube."""
    return tuple(int(choice == CONV) for choice in architecture[CELL][:4])


def convolutions(architectures) -> list[int]:
    """The number of convolutions: one optimum, which every way up leads to."""
    return [architecture[CELL].count(CONV) for architecture in architectures]


def two_peaks(architectures) -> list[float]:
    """On the cube: the sum of bits, but 10 where there are none; 0000 and 1111 are the only local optima."""
    return [float(sum(bits(architecture))) or 10.0 for architecture in architectures]


def seeded(seed: int = 0) -> torch.Generator:
    """A generator."""
    return torch.Generator().manual_seed(seed)


class Asked:
    """A score function that remembers what it was asked for, call by call."""

    def __init__(self, score=convolutions) -> None:
        self.score = score
        self.calls: list[list[Architecture]] = []

    def __call__(self, architectures) -> list[float]:
        self.calls.append(list(architectures))
        return self.score(architectures)

    @property
    def all(self) -> list[Architecture]:
        """Everything asked for, in order."""
        return [architecture for call in self.calls for architecture in call]
