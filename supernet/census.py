"""What an architecture is made of: how many convolutions, how many skip connections."""

from __future__ import annotations

from collections.abc import Callable

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace


def is_convolution(operation: str) -> bool:
    """Whether an operation of this name is a convolution or a block of them."""
    return "conv" in operation or operation.startswith("mb_")


def is_skip(operation: str) -> bool:
    """Whether an operation of this name is a skip connection."""
    return operation in ("skip_connect", "identity")


def choices(space: SearchSpace, kind: Callable[[str], bool]) -> dict[str, list[list[int]]]:
    """For each cell type and edge the candidates of this kind, in the space as it was before any was ruled out.

    An edge with a single candidate has none here: its operation is a part of the wiring, not a choice.
    """
    whole = space.resized()
    return {
        cell: [
            [operation for operation in row if kind(whole.operations[cell][operation])] if len(row) > 1 else []
            for row in (edge.nonzero().flatten().tolist() for edge in whole.allowed[cell])
        ]
        for cell in whole.edges
    }


def count(space: SearchSpace, architecture: Architecture, kind: Callable[[str], bool]) -> dict[str, int]:
    """For each cell type on how many edges an operation of this kind was chosen."""
    return {
        cell: sum(choice in row for choice, row in zip(architecture[cell], rows, strict=True))
        for cell, rows in choices(space, kind).items()
    }
