"""Layers for several edges at once: a convolution and a batch norm whose channels come in groups, one for each edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def part(tensor: Tensor, copies: int, rows: slice | None) -> Tensor:
    """The rows of some copies of a tensor whose dimension 0 is ``copies * channels``: a view."""
    return tensor if rows is None else tensor.unflatten(0, (copies, -1))[rows].flatten(0, 1)


def duplicates(index: Tensor) -> Tensor:
    """For each entry of an index how often its value occurs in it, as a floating-point vector."""
    return index.bincount()[index].to(torch.get_default_dtype())


def per_channel(weights: Tensor, channels: int) -> Tensor:
    """Weights ``(copies,)``, or ``(copies, channels)`` already, as ``(copies, channels)``: contiguous.

    Not an expanded view: torch's channels-last batch norm reads past a scale that is not contiguous.
    """
    return weights.repeat_interleave(channels).view(-1, channels) if weights.dim() == 1 else weights.contiguous()


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
        groups = self.groups if rows is None else max(1, self.groups // self.copies * (rows.stop - rows.start))
        if x.device.type == "cpu" and groups > 1:
            return _grouped_on_cpu(x, weight, self.stride[0], self.dilation[0], groups)
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, groups)


def _grouped_on_cpu(x: Tensor, weight: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    """A convolution in groups that keeps the image's size (over the stride), by the ways that are fast on a CPU.

    The gradients of a dilated one take oneDNN about ten times as long as those of one without. It falls into parts,
    each on every ``dilation``-th row and column, that are convolutions without dilation.
    """
    kernel = weight.shape[-1]
    if kernel == 1:  # any dilation is the same; without one, torch may compute the groups one by one
        return F.conv2d(x, weight, None, stride, 0, 2, groups)
    if dilation == 1:
        return F.conv2d(x, weight, None, stride, kernel // 2, 1, groups)
    if stride not in (1, dilation) or (stride == 1 and (x.shape[2] % dilation or x.shape[3] % dilation)):
        return F.conv2d(x, weight, None, stride, dilation * (kernel // 2), dilation, groups)
    if torch.is_autocast_enabled("cpu"):
        x, weight = (one.to(torch.get_autocast_dtype("cpu")) for one in (x, weight))
    return cast(Tensor, ConvolutionOfParts.apply(x, weight, stride, dilation, groups))


class ConvolutionOfParts(torch.autograd.Function):
    """A dilated convolution by its parts, which are made anew for the gradients and so take no memory.

    The stride is 1, or the dilation: then the outputs are those of the first part. It can be differentiated as often as
    one likes, and for each image of a batch by itself; not for several vectors in one backward pass.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
        """Convolve each part."""
        parts = _parts(x, dilation) if stride == 1 else _first(x, stride)
        y = F.conv2d(parts, weight, None, 1, weight.shape[-1] // 2, 1, groups)
        return _whole(y, dilation) if stride == 1 else y

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the images and the weight."""
        x, weight, ctx.stride, ctx.dilation, ctx.groups = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the parts, put together."""
        x, weight = ctx.saved_tensors
        whole = ctx.stride == 1
        parts = _parts(x, ctx.dilation) if whole else _first(x, ctx.stride)
        towards = _parts(grads[0], ctx.dilation) if whole else grads[0]
        padding = [weight.shape[-1] // 2] * 2
        for_parts, for_weight, _ = torch.ops.aten.convolution_backward(
            towards, parts, weight, None, [1, 1], padding, [1, 1], False, [0, 0],
            ctx.groups, [*ctx.needs_input_grad[:2], False],
        )  # fmt: skip
        for_x = for_parts
        if for_parts is not None and whole:
            for_x = _whole(for_parts, ctx.dilation)
        elif for_parts is not None:
            for_x = torch.zeros_like(x)
            for_x[:, :, :: ctx.stride, :: ctx.stride] = for_parts
        return for_x, for_weight, None, None, None


def _first(x: Tensor, step: int) -> Tensor:
    """The first of the `_parts`, also of images that do not divide evenly."""
    return x[:, :, ::step, ::step].permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _parts(x: Tensor, step: int) -> Tensor:
    """Images ``(batch, channels, h, w)`` as ``(step * step * batch, channels, h / step, w / step)``, channels last."""
    rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, step)).unflatten(1, (-1, step))
    return rows.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def _whole(parts: Tensor, step: int) -> Tensor:
    """The inverse of `_parts`."""
    rows = parts.permute(0, 2, 3, 1).unflatten(0, (step, step, -1))
    return rows.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class ScaledBatchNorm(nn.BatchNorm2d):
    """Batch norm for several edges at once, whose channels are multiplied, in groups, by the edges' mixing weights.

    While training with ``track_running_stats`` set to False, batches leave no trace in the running statistics.
    """

    def __init__(self, channels: int, copies: int, affine: bool) -> None:
        super().__init__(copies * channels, affine=affine)
        self.copies = copies

    def forward(self, x: Tensor, weights: Tensor | None = None, rows: slice | None = None) -> Tensor:
        """Normalise ``x (batch, copies * channels, h, w)`` and give ``(batch, copies, channels, h, w)``.

        ``weights``, as `per_channel` takes them, scale a group of channels each; with ``rows`` everything is of these
        copies only.
        """
        count = self.copies if rows is None else rows.stop - rows.start
        scale: Tensor | None = None if self.weight is None else part(self.weight, self.copies, rows)
        shift: Tensor | None = None if self.bias is None else part(self.bias, self.copies, rows)
        if weights is not None:
            weights = per_channel(weights, self.num_features // self.copies).flatten()
            scale = weights if scale is None else scale * weights
            shift = None if shift is None else shift * weights
        mean = var = None
        if not self.training or self.track_running_stats:
            assert self.running_mean is not None
            assert self.running_var is not None
            mean, var = part(self.running_mean, self.copies, rows), part(self.running_var, self.copies, rows)
        if len(x) == 1:
            # The gradient of one image may have any stride from image to image, as views leave it, and torch's kernel
            # for channels that come first would follow it; that for channels that come last does not.
            x = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        # `num_batches_tracked` only matters where momentum is None, which never happens here; leaving it alone saves a
        # kernel launch for every batch norm in every step.
        y = F.batch_norm(x, mean, var, scale, shift, self.training, self.momentum or 0.0, self.eps)
        return y.unflatten(1, (count, -1))


class GlobalPool(nn.AdaptiveAvgPool2d):
    """The mean over all pixels, ``(batch, channels, 1, 1)``; its gradient is channels last, as the maps are."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of ``x (batch, channels, h, w)``."""
        return x.permute(0, 2, 3, 1).mean((1, 2))[:, :, None, None]


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
        saved = ctx.saved_tensors
        weights, maps = saved[:number], saved[number:]
        wanted = ctx.needs_input_grad[2:]
        flat = [_flat(grad) for grad in grads] if any(wanted[:number]) else []
        for_weights = [
            torch.stack([_inner(grad, _flat(y)) for grad in flat]).to(weight.dtype) if wanted[i] else None
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
    """The sum of all products of two vectors; of half precision, in single."""
    if one.dtype != other.dtype or one.dtype not in (torch.float32, torch.float64):
        return (one.float() * other).sum()
    return torch.dot(one, other)


def _flat(images: Tensor) -> Tensor:
    """All values, in the order in which channels-last maps have them: a view of such maps."""
    return images.permute(0, 2, 3, 1).reshape(-1)
