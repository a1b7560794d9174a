"""An architecture as a plain value: for each cell type, the operation chosen on each edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DROPPED = -1
"""The choice on an edge that is not kept (spaces whose nodes keep only some of their inputs)."""

Allowed = Mapping[str, Tensor]
"""For each cell type a boolean table ``(edges, operations)``: which operations an edge may use."""


@dataclass(frozen=True, order=True)
class Architecture:
    """One operation for each edge of each cell type.

    ``choices`` holds pairs of a cell type and its operation indices, in the space's edge order; `DROPPED` stands on an
    edge that is not kept. Two architectures are equal when their choices are.
    """

    choices: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, choices: Mapping[str, Sequence[int]]) -> Architecture:
        """The architecture with these operation indices for each cell type."""
        return cls(tuple((cell, tuple(int(choice) for choice in row)) for cell, row in choices.items()))

    def __getitem__(self, cell: str) -> tuple[int, ...]:
        for name, row in self.choices:
            if name == cell:
                return row
        raise KeyError(f"no cell type {cell!r}; there are {[name for name, _ in self.choices]}")

    def one_hot(self, operations: Mapping[str, Sequence[str]], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Mixing weights ``(edges, operations)`` per cell type: one on the chosen operation, zero elsewhere."""
        return {cell: table.to(dtype) for cell, table in self.allowed(operations).items()}

    def allowed(self, operations: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """The table `Allowed` that leaves exactly this architecture."""
        tables = {}
        for cell, row in self.choices:
            table = torch.zeros(len(row), len(operations[cell]), dtype=torch.bool)
            for edge, choice in enumerate(row):
                if choice != DROPPED:
                    table[edge, choice] = True
            tables[cell] = table
        return tables

    def replace(self, cell: str, edge: int, choice: int) -> Architecture:
        """A copy with another choice on one edge."""
        return Architecture(
            tuple(
                (name, (*row[:edge], choice, *row[edge + 1 :]) if name == cell else row) for name, row in self.choices
            )
        )

    def distance(self, other: Architecture) -> int:
        """The number of edges on which two architectures of one space differ (Hamming distance)."""
        return sum(
            a != b
            for (_, mine), (_, theirs) in zip(self.choices, other.choices, strict=True)
            for a, b in zip(mine, theirs, strict=True)
        )
