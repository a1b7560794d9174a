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
    """Why the passes of a search with these can be neither compiled nor recorded; None where they can."""
    if formulation.differentiates_twice:
        way_out = (
            "; formulation.finite_differences=true does without" if hasattr(formulation, "finite_differences") else ""
        )
        return (
            f"{type(formulation).__name__} differentiates gradients, which neither compiled code nor a CUDA graph can"
            + way_out
        )
    if recompute == "operation":
        return "recompute=operation divides what is compiled as a whole; recompute=cell can be compiled"
    if relaxation.sparse:
        return f"{type(relaxation).__name__} runs other operations in each step"
    return None


def check_statistics(recompute: str | None, compiled: bool, captured: bool, synchronised: bool) -> None:
    """Raise `UserError` where statistics that processes exchange would be exchanged again, or not at all."""
    chosen = {f"recompute={recompute}": recompute, "compile=true": compiled, "cuda_graphs=true": captured}
    for setting in [setting for setting, value in chosen.items() if value and synchronised]:
        raise UserError(
            f"{setting} does not know of the statistics that trainer.sync_batchnorm=true exchanges; "
            "leave one of them out"
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
