"""Where the alphas start: near the uniform mixture, a little on the side of what a warm start prefers.

Scores of untrained networks tell bad operations from good ones, and good ones hardly from each other. So the start is
damped, and the search decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from search_spaces.architecture import Allowed
from search_spaces.space import SearchSpace
from supernet.relaxations.base import Relaxation

LARGEST_KAPPA = 0.5


def check_kappa(kappa: float) -> None:
    """Raise ValueError for a start that is not damped."""
    if not isinstance(kappa, int | float) or not 0 <= kappa <= LARGEST_KAPPA:
        raise ValueError(
            f"kappa is {kappa}: it must be at least 0 and at most {LARGEST_KAPPA}, so that the search decides"
        )


def from_scores(scores: Mapping[str, Tensor], space: SearchSpace, kappa: float) -> dict[str, Tensor]:
    """Logits ``kappa z``: z are the scores of an edge's remaining operations, with mean zero and deviation one.

    What is not scored, and an edge whose scores are all equal, has zeros.
    """
    logits = {}
    for cell, table in scores.items():
        left = table.double().masked_fill(~space.allowed[cell], torch.nan)
        centred = left - left.nanmean(dim=1, keepdim=True)
        # What differs by rounding only is equal.
        centred = torch.where(centred.abs() > 1e-9 * left.abs().nan_to_num().amax(), centred, centred * 0)
        deviation = centred.square().nanmean(dim=1, keepdim=True).sqrt()
        logits[cell] = (kappa * centred / deviation).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return logits


def starting_alphas(relaxation: Relaxation, logits: Mapping[str, Tensor], allowed: Allowed) -> dict[str, Tensor]:
    """For each cell type the alphas ``(edges, operations)`` whose mean mixture is that of the logits, in float32.

    The mixture is ``softmax(logits)`` over an edge's operations, or ``sigmoid(logits)`` for a relaxation whose weights
    do not sum to one. Logits of zero give alphas of zero, where searches usually start. What is not allowed has zeros.
    """
    alphas = {}
    for cell, table in logits.items():
        alphas[cell] = torch.zeros(table.shape)
        for edge, here in enumerate(allowed[cell]):
            if bool(here.any()):
                row = table[edge, here].double()
                weights = row.softmax(dim=0) if relaxation.rows_sum_to_one else row.sigmoid()
                alphas[cell][edge, here] = relaxation.inverse(weights[None])[0].float()
    return alphas
