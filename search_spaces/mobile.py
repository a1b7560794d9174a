"""Blocks of mobile networks as candidate operations.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, arXiv:1801.04381.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from search_spaces.layers import ScaledBatchNorm, SplitConv
from search_spaces.operations import Operation, spread


class MobileBlock(Operation):
    """The inverted residual: widen, convolve depth-wise, narrow, each with a batch norm; ReLU after the first two.

    The input is added where neither the width nor the size of the image changes.
    """

    def __init__(
        self, copies: int, in_channels: int, out_channels: int, kernel: int, expansion: int, stride: int, affine: bool
    ) -> None:
        super().__init__(copies)
        hidden = expansion * in_channels
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = SplitConv(in_channels, hidden, 1, copies)
        self.expand_norm = ScaledBatchNorm(hidden, copies, affine)
        self.depthwise = SplitConv(hidden, hidden, kernel, copies, stride, depthwise=True)
        self.depthwise_norm = ScaledBatchNorm(hidden, copies, affine)
        self.project = SplitConv(hidden, out_channels, 1, copies, separate=True)
        self.norm = ScaledBatchNorm(out_channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`."""
        count = self.copies if rows is None else rows.stop - rows.start
        y = F.relu(self.expand_norm(self.expand(x, rows), None, rows).flatten(1, 2))
        y = F.relu(self.depthwise_norm(self.depthwise(y, rows), None, rows).flatten(1, 2))
        y = self.norm(self.project(y, rows), weights, rows)
        return y + spread(x.unsqueeze(1), weights, count) if self.residual else y


class ConvBN(Operation):
    """A point-wise convolution and a batch norm: the ``identity`` where the width or the size of the image changes."""

    def __init__(self, copies: int, in_channels: int, out_channels: int, stride: int, affine: bool) -> None:
        super().__init__(copies)
        self.conv = SplitConv(in_channels, out_channels, 1, copies, stride)
        self.norm = ScaledBatchNorm(out_channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`."""
        return self.norm(self.conv(x, rows), weights, rows)
