"""Candidate operations, each written for several edges at once.

Edges that leave the same node share their input. One convolution with ``copies * channels`` outputs and one batch norm
over them therefore compute the same numbers as a module per edge, and an operation without parameters is computed once
for all. The mixing weight of an edge is folded into the batch norm's scale, so a weighted edge costs no extra pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Operation(nn.Module, ABC):
    """One candidate operation on ``copies`` edges that leave the same node.

    ``takes_relu`` says that the operation begins with a ReLU; the cell computes it once a node and passes the result.
    """

    takes_relu: ClassVar[bool] = False

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    @abstractmethod
    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """The outputs ``(batch, copies, channels, height, width)``, times the edges' ``weights (copies,)``."""


class ScaledBatchNorm(nn.BatchNorm2d):
    """Batch norm whose output channels are multiplied, in groups, by a vector of mixing weights."""

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """Normalise ``x (batch, copies * channels, h, w)``; ``weights (copies,)`` scale a group of channels each."""
        scale: Tensor | None = self.weight
        shift: Tensor | None = self.bias
        if weights is not None:
            # contiguous(): for a single copy the flattened expansion is a view of stride 0, and torch's channels-last
            # kernel reads past a scale that is not contiguous.
            weights = weights[:, None].expand(-1, self.num_features // len(weights)).flatten().contiguous()
            scale = weights if scale is None else scale * weights
            shift = None if shift is None else shift * weights
        batch_statistics = self.training or self.running_mean is None
        # `num_batches_tracked` only matters where momentum is None, which never happens here; leaving it alone saves a
        # kernel launch for every batch norm in every step.
        return F.batch_norm(
            x, self.running_mean, self.running_var, scale, shift, batch_statistics, self.momentum or 0.0, self.eps
        )


class ReLUConvBN(Operation):
    """ReLU, convolution without bias, batch norm: the ``nor_conv`` of NAS-Bench-201 (Dong and Yang, 2020)."""

    takes_relu = True

    def __init__(self, copies: int, channels: int, kernel: int, affine: bool) -> None:
        super().__init__(copies)
        self.conv = nn.Conv2d(channels, copies * channels, kernel, padding=kernel // 2, bias=False)
        self.norm = ScaledBatchNorm(copies * channels, affine=affine)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """See `Operation.forward`; ``x`` is past its ReLU."""
        return self.norm(self.conv(x), weights).unflatten(1, (self.copies, -1))


class ParameterFree(Operation):
    """An operation without parameters: computed once, then broadcast to its edges."""

    def __init__(self, copies: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(copies)
        self.function = function

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """See `Operation.forward`."""
        y = self.function(x).unsqueeze(1)
        # Without weights the copies must be spelled out: one copy would feed one edge and drop the others silently.
        return (
            y.expand(-1, self.copies, -1, -1, -1) if weights is None else y * weights.to(y.dtype)[:, None, None, None]
        )


def identity(x: Tensor) -> Tensor:
    """``skip_connect``."""
    return x


def average_pool(x: Tensor) -> Tensor:
    """``avg_pool_3x3``: stride 1, same size; the padding does not count."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def build(name: str, copies: int, channels: int, affine: bool) -> Operation:
    """The operation of this name for ``copies`` edges. Raises KeyError for an unknown one."""
    match name:
        case "skip_connect":
            return ParameterFree(copies, identity)
        case "nor_conv_1x1":
            return ReLUConvBN(copies, channels, 1, affine)
        case "nor_conv_3x3":
            return ReLUConvBN(copies, channels, 3, affine)
        case "avg_pool_3x3":
            return ParameterFree(copies, average_pool)
    raise KeyError(f"no operation is called {name!r}")
