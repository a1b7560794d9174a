"""Candidate operations, each written for several edges at once.

Edges that leave the same node share their input. One convolution with ``copies * channels`` outputs and one batch norm
over them therefore compute the same numbers as a module per edge, and an operation without parameters is computed once
for all. The mixing weight of an edge is folded into the batch norm's scale, so a weighted edge costs no extra pass.

The operations of NAS-Bench-201 (Dong and Yang, 2020, arXiv:2001.00326) and of DARTS (Liu, Simonyan and Yang, 2019,
arXiv:1806.09055); the ``noise`` of RobustDARTS (Zela et al., 2020, arXiv:1909.09656). `search_spaces.candidates` has
their names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers import ScaledBatchNorm, SplitConv, duplicates


@dataclass(frozen=True)
class Form:
    """How the operations of a network are built.

    Attributes:
        affine: whether batch norms learn a scale and a shift. They do not in a supernet (Liu et al., 2019): the scale
            would undo the mixing weights.
        pool_norm: whether a batch norm follows each pooling, as in the supernet of DARTS.
        extra: how operations are built that this package does not have, by name.
    """

    affine: bool
    pool_norm: bool = False
    extra: Mapping[str, Builder] = field(default_factory=dict)


class Operation(nn.Module, ABC):
    """One candidate operation on ``copies`` edges that leave the same node.

    Attributes:
        takes_relu: the operation begins with a ReLU; the cell computes it once a node and passes the result.
        takes_copies: the operation may get its input once for each copy, side by side; the cell then does that once a
            node for all such operations.
        droppable: whether drop-path may drop it; not the identity (Larsson et al., 2017, arXiv:1605.07648).
        shared: the copies have no weights of their own, so that it does not matter which of them run, but how many.
        draws: it draws random numbers while training.
    """

    takes_relu: ClassVar[bool] = False
    takes_copies: ClassVar[bool] = False
    droppable: ClassVar[bool] = True
    shared: ClassVar[bool] = False

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    @property
    def draws(self) -> bool:
        """See the class."""
        return False

    def common(self, x: Tensor) -> Tensor | None:
        """What all copies give before their weights ``(batch, channels, height, width)``; None where they differ."""
        return None

    @abstractmethod
    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """The outputs ``(batch, copies, channels, height, width)``, times the edges' weights.

        ``weights`` are ``(copies,)``, or the same repeated for every channel, ``(copies, channels)``, which a network
        does once for all its cells. With ``rows`` only these copies run; ``weights`` are theirs.
        """

    def adopt(self, tensors: Mapping[str, Tensor], copies: Sequence[int], index: Tensor | None, rescale: bool) -> Taken:
        """This operation's tensors from those of a larger one, by name.

        Args:
            tensors: the other's tensors; of those with one part for each copy, dimension 0 is ``copies * channels``.
            copies: which of the other's copies are ours; and, last, how many it has.
            index: for each of our channels the channel of the other that it repeats; None where the widths are equal.
            rescale: divide the weights of repeated input channels by how often they repeat, which keeps the function
                of a repeated input (Chen, Goodfellow and Shlens, 2016, arXiv:1511.05641); else they are copied as they
                are.
        """
        return {
            name: adopted(tensor, copies, index, None if "depthwise" in name else index, rescale)
            for name, tensor in tensors.items()
        }


Taken = dict[str, Tensor]

Builder = Callable[[int, int, int, int, Form], Operation]
"""``(copies, in_channels, out_channels, stride, form)`` to an operation."""


def adopted(
    tensor: Tensor, copies: Sequence[int], outputs: Tensor | None, inputs: Tensor | None, rescale: bool
) -> Tensor:
    """One tensor for `Operation.adopt`: some copies, with repeated output and (of a convolution) input channels."""
    if tensor.dim() == 0:
        return tensor
    *rows, total = copies
    parts = tensor.unflatten(0, (total, -1))[rows]
    if outputs is not None:
        parts = parts[:, outputs.to(tensor.device)]
    if inputs is not None and parts.dim() > 2:
        parts = parts[:, :, inputs.to(tensor.device)]
        parts = parts / duplicates(inputs).to(tensor)[:, None, None] if rescale else parts
    return parts.flatten(0, 1)


class ReLUConvBN(Operation):
    """ReLU, convolution without bias, batch norm."""

    takes_relu = True

    def __init__(
        self, copies: int, in_channels: int, out_channels: int, kernel: int, stride: int, affine: bool
    ) -> None:
        super().__init__(copies)
        self.conv = SplitConv(in_channels, out_channels, kernel, copies, stride=stride)
        self.norm = ScaledBatchNorm(out_channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`; ``x`` is past its ReLU."""
        return self.norm(self.conv(x, rows), weights, rows)


def repeated(x: Tensor, count: int) -> Tensor:
    """A map ``(batch, channels, h, w)`` so many times, side by side."""
    return torch.cat([x] * count, dim=1) if count > 1 else x


class SeparableBlock(Operation):
    """ReLU, depth-wise convolution, point-wise convolution, batch norm; with a dilation of 2 this is ``dil_conv``."""

    takes_relu = True
    takes_copies = True

    def __init__(self, copies: int, channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> None:
        super().__init__(copies)
        self.depthwise = SplitConv(channels, channels, kernel, copies, stride, dilation, depthwise=True)
        self.pointwise = SplitConv(channels, channels, 1, copies, separate=True)
        self.norm = ScaledBatchNorm(channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`; ``x`` is past its ReLU."""
        count = self.copies if rows is None else rows.stop - rows.start
        x = repeated(x, count * self.norm.num_features // self.copies // x.shape[1])
        return self.norm(self.pointwise(self.depthwise(x, rows), rows), weights, rows)


class SepConv(Operation):
    """Twice ReLU, depth-wise convolution, point-wise convolution, batch norm; the second time with stride 1."""

    takes_relu = True
    takes_copies = True

    def __init__(self, copies: int, channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__(copies)
        self.first = SeparableBlock(copies, channels, kernel, stride, 1, affine)
        self.depthwise = SplitConv(channels, channels, kernel, copies, depthwise=True)
        self.pointwise = SplitConv(channels, channels, 1, copies, separate=True)
        self.norm = ScaledBatchNorm(channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`; ``x`` is past its ReLU."""
        x = F.relu(self.first(x, None, rows).flatten(1, 2))
        return self.norm(self.pointwise(self.depthwise(x, rows), rows), weights, rows)


class FactorizedReduce(Operation):
    """Halves the image: ReLU, two point-wise convolutions of stride 2, one of them a pixel further, batch norm.

    The image is padded on the right and below before it is shifted, so that odd sizes work too.
    """

    takes_relu = True

    def __init__(self, copies: int, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__(copies)
        self.conv_a = SplitConv(in_channels, out_channels // 2, 1, copies, stride=2)
        self.conv_b = SplitConv(in_channels, out_channels - out_channels // 2, 1, copies, stride=2)
        self.norm = ScaledBatchNorm(out_channels, copies, affine)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`; ``x`` is past its ReLU."""
        count = self.copies if rows is None else rows.stop - rows.start
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        halves = [y.chunk(count, dim=1) for y in (self.conv_a(x, rows), self.conv_b(shifted, rows))]
        return self.norm(torch.cat([half for copy in zip(*halves, strict=True) for half in copy], dim=1), weights, rows)

    def adopt(self, tensors: Mapping[str, Tensor], copies: Sequence[int], index: Tensor | None, rescale: bool) -> Taken:
        """See `Operation.adopt`; each half of the output repeats channels of the same half."""
        if index is None:
            return super().adopt(tensors, copies, index, rescale)
        old = int(index.max()) + 1
        first, second = halves(index)
        outputs = {"conv_a": first, "conv_b": second, "norm": torch.cat([first, second + old // 2])}
        return {
            name: adopted(tensor, copies, outputs[name.partition(".")[0]], index, rescale)
            for name, tensor in tensors.items()
        }


def halves(index: Tensor) -> tuple[Tensor, Tensor]:
    """From a map of channels one for each half of them: old channels first, then repeats."""
    new, old = len(index), int(index.max()) + 1
    maps = []
    for wanted, there in ((new // 2, old // 2), (new - new // 2, old - old // 2)):
        extra = index[len(index) - (wanted - there) :] % there
        maps.append(torch.cat([torch.arange(there, device=index.device), extra]))
    return maps[0], maps[1]


class Shared(Operation):
    """An operation without weights of its own: computed once, then broadcast to its edges."""

    shared = True

    @abstractmethod
    def compute(self, x: Tensor) -> Tensor:
        """The output ``(batch, channels, height, width)``."""

    def common(self, x: Tensor) -> Tensor | None:
        """See `Operation.common`."""
        return self.compute(x)

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`."""
        count = self.copies if rows is None else rows.stop - rows.start
        return spread(self.compute(x).unsqueeze(1), weights, count)

    def adopt(self, tensors: Mapping[str, Tensor], copies: Sequence[int], index: Tensor | None, rescale: bool) -> Taken:
        """See `Operation.adopt`; the copies share what there is."""
        return {name: adopted(tensor, [0, 1], index, None, rescale) for name, tensor in tensors.items()}


def spread(y: Tensor, weights: Tensor | None, copies: int) -> Tensor:
    """``y (batch, 1 or copies, channels, h, w)`` once for each copy, times its weight.

    Without weights the copies must be spelled out: one copy would feed one edge and drop the others silently.
    """
    if weights is None:
        return y.expand(-1, copies, -1, -1, -1)
    return y * weights.to(y.dtype).view(len(weights), -1, 1, 1)


class Identity(Shared):
    """``skip_connect`` without a stride.

    ``dropout`` sets values of its output to zero with this probability while training, on each edge by itself (P-DARTS,
    Chen et al., 2019, arXiv:1904.12760, section 3.3).
    """

    droppable = False
    dropout: float = 0.0

    @property
    def draws(self) -> bool:
        """See `Operation`."""
        return bool(self.dropout)

    def compute(self, x: Tensor) -> Tensor:
        """The input."""
        return x

    def common(self, x: Tensor) -> Tensor | None:
        """See `Operation.common`."""
        return None if self.training and self.dropout else x

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`."""
        if not (self.training and self.dropout):
            return super().forward(x, weights, rows)
        count = self.copies if rows is None else rows.stop - rows.start
        return spread(F.dropout(x.unsqueeze(1).expand(-1, count, -1, -1, -1), self.dropout), weights, count)


class Pool(Shared):
    """``max_pool_3x3`` or ``avg_pool_3x3``, whose padding does not count; with ``norm`` a batch norm follows."""

    def __init__(self, copies: int, channels: int, kind: str, stride: int, norm: bool) -> None:
        super().__init__(copies)
        self.kind = kind
        self.stride = stride
        self.norm = ScaledBatchNorm(channels, 1, affine=False) if norm else None

    def compute(self, x: Tensor) -> Tensor:
        """The pooled input."""
        if self.kind == "max":
            y = F.max_pool2d(x, 3, self.stride, padding=1)
        else:
            y = F.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)
        return y if self.norm is None else self.norm(y).squeeze(1)


class Noise(Operation):
    """Standard normal noise in place of the input: an operation that a sound search never chooses."""

    def __init__(self, copies: int, stride: int) -> None:
        super().__init__(copies)
        self.stride = stride

    @property
    def draws(self) -> bool:
        """See `Operation`."""
        return True

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """See `Operation.forward`."""
        count = self.copies if rows is None else rows.stop - rows.start
        small = x[:, None, :, :: self.stride, :: self.stride].expand(-1, count, -1, -1, -1)
        return spread(torch.randn_like(small, memory_format=torch.contiguous_format), weights, count)
