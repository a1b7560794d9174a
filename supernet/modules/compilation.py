"""Compiled supernets: each cell by itself, in place, so that nothing else and no name in a checkpoint changes."""

from __future__ import annotations

import torch

from search_spaces.network import Network
from supernet.errors import UserError
from supernet.formulations.base import Formulation
from supernet.relaxations.base import Relaxation

VARIANTS = 256
"""Graphs at most: each kind of cell has one for each pass that differs in its statistics or in what has gradients."""


def obstacle(relaxation: Relaxation, formulation: Formulation, recompute: str | None = None) -> str | None:
    """Why a search with these cannot be compiled; None where it can."""
    if formulation.differentiates_twice:
        return (
            f"{type(formulation).__name__} differentiates gradients, which compiled code cannot; "
            "formulation.finite_differences=true can be compiled"
        )
    if recompute == "operation":
        return "recompute=operation divides what is compiled as a whole; recompute=cell can be compiled"
    if relaxation.sparse:
        return f"{type(relaxation).__name__} runs other operations in each step, and each would be compiled anew"
    return None


def check_statistics(recompute: str | None, compiled: bool, synchronised: bool) -> None:
    """Raise `UserError` where statistics that processes exchange would be exchanged again, or not at all."""
    if synchronised and (recompute or compiled):
        raise UserError(
            f"{f'recompute={recompute}' if recompute else 'compile=true'} does not know of the statistics that "
            "trainer.sync_batchnorm=true exchanges; leave one of them out"
        )


def compile_cells(network: Network, backend: str = "inductor") -> None:
    """Let each cell of a network be compiled when it is first run in some way."""
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, VARIANTS)
    for cell in network.cells:
        cell.compile(backend=backend, dynamic=False)


def release(network: Network) -> None:
    """Run its cells as they are again."""
    for cell in network.cells:
        cell._compiled_call_impl = None
