"""S1 to S4: four subsets of the DARTS space in which plain DARTS fails, to measure how robust a search is.

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", 2020, arXiv:1909.09656, section 3.
"""

from __future__ import annotations

from typing import Literal

import torch

from search_spaces.darts import CELLS, DARTS, EDGES, NORMAL, REDUCE

# The two operations of each edge that are left when the least important ones of DARTS are dropped, one after another.
S1: dict[str, tuple[str, ...]] = {
    NORMAL: (
        "skip_connect dil_conv_3x3", "skip_connect dil_conv_5x5",
        "skip_connect dil_conv_5x5", "skip_connect sep_conv_3x3", "skip_connect dil_conv_3x3",
        "max_pool_3x3 skip_connect", "skip_connect sep_conv_3x3", "skip_connect sep_conv_3x3",
        "skip_connect dil_conv_3x3",
        "skip_connect sep_conv_3x3", "max_pool_3x3 skip_connect", "skip_connect dil_conv_3x3",
        "dil_conv_3x3 dil_conv_5x5", "dil_conv_3x3 dil_conv_5x5",
    ),
    REDUCE: (
        "max_pool_3x3 avg_pool_3x3", "max_pool_3x3 dil_conv_3x3",
        "max_pool_3x3 avg_pool_3x3", "max_pool_3x3 avg_pool_3x3", "skip_connect dil_conv_5x5",
        "max_pool_3x3 avg_pool_3x3", "max_pool_3x3 sep_conv_3x3", "skip_connect dil_conv_3x3",
        "skip_connect dil_conv_5x5",
        "max_pool_3x3 avg_pool_3x3", "max_pool_3x3 avg_pool_3x3", "skip_connect dil_conv_5x5",
        "skip_connect dil_conv_5x5", "skip_connect dil_conv_5x5",
    ),
}  # fmt: skip
VARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    "s1": S1,
    "s2": dict.fromkeys(CELLS, ("skip_connect sep_conv_3x3",) * len(EDGES)),
    "s3": dict.fromkeys(CELLS, ("none skip_connect sep_conv_3x3",) * len(EDGES)),
    "s4": dict.fromkeys(CELLS, ("noise sep_conv_3x3",) * len(EDGES)),
}
ORDER = (
    "none", "noise", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip


class RobustDARTS(DARTS):
    """One of the four spaces. A cell type's operations are those of any of its edges; ``allowed`` says which edge's.

    In S3 ``none`` is mixed in and never chosen, as in DARTS. In S4 ``noise`` may be chosen: a network all of whose
    paths it cuts is not valid.

    Args:
        variant: ``s1``: two operations on each edge; ``s2``: ``skip_connect`` and ``sep_conv_3x3``; ``s3``: and
            ``none``; ``s4``: ``noise`` and ``sep_conv_3x3``.
        channels: as all that follow, see `DARTS`.
        layers: see there.
        stem: see there.
        threshold: see there.
        max_skips: see there.
        auxiliary: see there.
        in_channels: see there.
        num_classes: see there.
    """

    def __init__(
        self,
        variant: Literal["s1", "s2", "s3", "s4"],
        channels: int = 16,
        layers: int = 8,
        stem: Literal["cifar", "imagenet"] = "cifar",
        threshold: float = 0.0,
        max_skips: int | None = None,
        auxiliary: bool = False,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"variant is {variant!r}: it must be one of {', '.join(VARIANTS)}")
        super().__init__(
            channels, layers, stem, variant == "s3", threshold, max_skips, auxiliary, in_channels, num_classes
        )
        self.name = f"robust_darts_{variant}"
        self.variant = variant
        names = {cell: [edge.split() for edge in VARIANTS[variant][cell]] for cell in CELLS}
        self.operations = {
            cell: tuple(name for name in ORDER if any(name in edge for edge in names[cell])) for cell in CELLS
        }
        self.allowed = {
            cell: torch.tensor([[name in edge for name in self.operations[cell]] for edge in names[cell]])
            for cell in CELLS
        }
