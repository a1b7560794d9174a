"""Mean and standard deviation of each channel, given or measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet.data.pixels import Pixels
from supernet.errors import UserError

BATCH = 500


def normalisation(pixels: Pixels, mean: Sequence[float] | None, std: Sequence[float] | None) -> tuple[Tensor, Tensor]:
    """Mean and deviation ``(channels,)``, with white as 1, measured where None.

    Raises `UserError` where a given one has another length, or a deviation is not above 0.
    """
    channels = pixels.shape[0]
    for name, values in {"mean": mean, "std": std}.items():
        if values is not None and len(values) != channels:
            raise UserError(
                f"data.{name} has length {len(values)}, but the number of channels is {channels}; "
                f"give one value for each, or data.{name}=null to measure them"
            )
    if std is not None and min(std) <= 0:
        raise UserError(f"data.std={list(std)}: a deviation must be above 0; use data.std=null to measure it")
    if mean is None or std is None:
        measured_mean, measured_std = channel_statistics(pixels)
        mean = measured_mean.tolist() if mean is None else mean
        std = measured_std.tolist() if std is None else std
    return torch.tensor([*mean], dtype=torch.float32), torch.tensor([*std], dtype=torch.float32)


def channel_statistics(pixels: Pixels) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``(channels,)`` over the pixels of `Pixels.sample`, float64, with white as 1.

    The sums are whole numbers, hence exact. A channel that never varies gets one grey level as its deviation.
    """
    channels, height, width = pixels.shape
    positions = pixels.sample()
    total, squares = torch.zeros(2, channels, dtype=torch.int64)
    for batch in pixels.batches(positions, BATCH):
        values = batch.transpose(0, 1).flatten(1).int()
        total += values.sum(1).cpu()
        squares += values.square().sum(1).cpu()
    count = len(positions) * height * width
    mean = total.double() / count
    std = (squares.double() / count - mean.square()).clamp(min=0).sqrt()
    return mean / 255, std.clamp(min=1) / 255
