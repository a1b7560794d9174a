"""The operations of NAS-Bench-101, which end with their activation.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", 2019, arXiv:1902.09635, section 2.1.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from search_spaces.layers import ScaledBatchNorm, SplitConv
from search_spaces.operations import Operation, spread


class ConvBNReLU(Operation):
    """Convolution without bias, batch norm, ReLU; the mixing weight comes after the ReLU, and may be negative."""

    def __init__(
        self, copies: int, in_channels: int, out_channels: int, kernel: int, stride: int, affine: bool
    ) -> None:
        super().__init__(copies)
        self.conv = SplitConv(in_channels, out_channels, kernel, copies, stride)
        self.norm = ScaledBatchNorm(out_channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`."""
        y = F.relu(self.norm(self.conv(x, rows), None, rows))
        return spread(y, weights, y.shape[1])
