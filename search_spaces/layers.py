"""Layers for several edges at once: a convolution and a batch norm whose channels come in groups, one for each edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def part(tensor: Tensor, copies: int, rows: slice | None) -> Tensor:
    """The rows of some copies of a tensor whose dimension 0 is ``copies * channels``: a view."""
    return tensor if rows is None else tensor.unflatten(0, (copies, -1))[rows].flatten(0, 1)


def duplicates(index: Tensor) -> Tensor:
    """For each entry of an index how often its value occurs in it, as a floating-point vector."""
    return index.bincount()[index].to(torch.get_default_dtype())


class SplitConv(nn.Conv2d):
    """A convolution without bias that keeps the image's size (over the stride) and serves ``copies`` edges.

    Its input is one map for all copies, or with ``separate`` (and ``depthwise``) one for each, side by side; its output
    is always one for each.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        copies: int,
        stride: int = 1,
        dilation: int = 1,
        depthwise: bool = False,
        separate: bool = False,
    ) -> None:
        groups = copies * in_channels if depthwise else copies if separate else 1
        super().__init__(
            copies * in_channels if groups > 1 else in_channels, copies * out_channels, kernel, stride,
            padding=dilation * (kernel // 2), dilation=dilation, groups=groups, bias=False,
        )  # fmt: skip
        self.copies = copies

    def forward(self, x: Tensor, rows: slice | None = None) -> Tensor:
        """``(batch, channels, h, w)`` to ``(batch, copies * channels, h, w)``; of some copies only with ``rows``."""
        weight = part(self.weight, self.copies, rows)
        groups = self.groups if rows is None else self.groups // self.copies * (rows.stop - rows.start)
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, max(1, groups))


class ScaledBatchNorm(nn.BatchNorm2d):
    """Batch norm for several edges at once, whose channels are multiplied, in groups, by the edges' mixing weights.

    While training with ``track_running_stats`` set to False, batches leave no trace in the running statistics.
    """

    def __init__(self, channels: int, copies: int, affine: bool) -> None:
        super().__init__(copies * channels, affine=affine)
        self.copies = copies

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """Normalise ``x (batch, copies * channels, h, w)`` and give ``(batch, copies, channels, h, w)``.

        ``weights (copies,)`` scale a group of channels each; with ``rows`` everything is of these copies only.
        """
        count = self.copies if rows is None else rows.stop - rows.start
        scale: Tensor | None = None if self.weight is None else part(self.weight, self.copies, rows)
        shift: Tensor | None = None if self.bias is None else part(self.bias, self.copies, rows)
        if weights is not None:
            # contiguous(): for a single copy the flattened expansion is a view of stride 0, and torch's channels-last
            # kernel reads past a scale that is not contiguous.
            weights = weights[:, None].expand(-1, self.num_features // self.copies).flatten().contiguous()
            scale = weights if scale is None else scale * weights
            shift = None if shift is None else shift * weights
        mean = var = None
        if not self.training or self.track_running_stats:
            assert self.running_mean is not None
            assert self.running_var is not None
            mean, var = part(self.running_mean, self.copies, rows), part(self.running_var, self.copies, rows)
        # `num_batches_tracked` only matters where momentum is None, which never happens here; leaving it alone saves a
        # kernel launch for every batch norm in every step.
        y = F.batch_norm(x, mean, var, scale, shift, self.training, self.momentum or 0.0, self.eps)
        return y.unflatten(1, (count, -1))


def weighted_sums(totals: Sequence[Tensor | None], weights: Sequence[Tensor], maps: Sequence[Tensor]) -> list[Tensor]:
    """``totals[k] + sum_i weights[i][k] * maps[i]`` for every k: maps that several edges share, each with its weight.

    Args:
        totals: what is added to, ``(batch, channels, h, w)`` each; None for nothing.
        weights: for each map a vector with a weight for each total.
        maps: ``(batch, channels, h, w)``.

    One pass over the memory for each weight, and one for its gradient: a broadcast product would write them all side by
    side, and its backward pass would reduce over channels that do not lie together.
    """
    return list(WeightedSums.apply(len(totals), len(maps), *weights, *totals, *maps))


class WeightedSums(torch.autograd.Function):
    """See `weighted_sums`. It can be differentiated as often as one likes, and for each image of a batch by itself."""

    generate_vmap_rule = True

    @staticmethod
    def forward(count: int, number: int, *tensors: Any) -> tuple[Tensor, ...]:
        """Add up."""
        weights, totals, maps = tensors[:number], tensors[number : number + count], tensors[number + count :]
        sums = []
        for k, total in enumerate(totals):
            for weight, y in zip(weights, maps, strict=True):
                total = _plus(total, weight[k], y)
            sums.append(total)
        return tuple(sums)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep weights and maps."""
        count, number, *tensors = inputs
        ctx.count, ctx.number = count, number
        ctx.dtypes = [None if one is None else one.dtype for one in tensors]
        ctx.save_for_backward(*tensors[:number], *tensors[number + count :])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Totals take what comes; maps its weighted sum; a weight its product with the map."""
        count, number = ctx.count, ctx.number
        weights, maps = ctx.saved_tensors[:number], ctx.saved_tensors[number:]
        wanted = ctx.needs_input_grad[2:]
        for_weights = [
            torch.stack([_inner(grad, y) for grad in grads]).to(weight.dtype) if wanted[i] else None
            for i, (weight, y) in enumerate(zip(weights, maps, strict=True))
        ]
        for_maps: list[Tensor | None] = []
        for i, weight in enumerate(weights):
            total: Tensor | None = None
            if wanted[number + count + i]:
                for k, grad in enumerate(grads):
                    total = _plus(total, weight[k], grad)
                assert total is not None
                total = total.to(maps[i].dtype)
            for_maps.append(total)
        for_totals = [grad.to(ctx.dtypes[number + k]) if wanted[number + k] else None for k, grad in enumerate(grads)]
        return None, None, *for_weights, *for_totals, *for_maps


def _plus(total: Tensor | None, weight: Tensor, y: Tensor) -> Tensor:
    weight = weight.to(y.dtype)
    if total is None:
        return y * weight
    return torch.addcmul(total, y, weight) if total.dtype == y.dtype else total + y * weight


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """The sum of all products; of half precision, in single."""
    if one.dtype != other.dtype or one.dtype not in (torch.float32, torch.float64):
        return (one.float() * other).sum()
    return torch.dot(_flat(one), _flat(other))


def _flat(images: Tensor) -> Tensor:
    """All values, in the order in which channels-last maps have them: a view of such maps."""
    return images.permute(0, 2, 3, 1).reshape(-1)
