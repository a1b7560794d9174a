"""Augmentation of a whole batch at once: random crop, horizontal flip and cutout, each image on its own.

The pipeline is the usual one of CIFAR (He et al., 2016, arXiv:1512.03385, section 4.2): crop from the raw image padded
with zeros, flip, then normalise each channel; and last, where asked for, cutout (DeVries and Taylor, 2017,
arXiv:1708.04552). All random numbers of a pass are drawn in one go, so that a batch is a pure function of its pixels
and its numbers, on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Draws = Tensor
"""One column of random integers for each image: ``(5, count)``, rows top, left, flip, hole_y, hole_x."""


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied.

    Attributes:
        crop_padding: zeros put around the raw image on each side, in pixels; a window of the old size is cut from it.
        flip: mirror every second image, on average, left to right.
        cutout: side of the square that is blanked after normalisation, in pixels; 0 for none.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0

    def draw(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Draws:
        """Random numbers for ``count`` images of ``size`` (h, w), on the generator's device."""
        tops = 2 * self.crop_padding + 1
        ranges = (tops, tops, 1 + self.flip, *size)
        return torch.stack(
            [torch.randint(high, (count,), generator=generator, device=generator.device) for high in ranges]
        )

    def __call__(self, images: Tensor, draws: Draws, mean: Tensor, std: Tensor) -> Tensor:
        """Raw images ``(batch, channels, h, w)``, uint8, and their columns of `draw`, to normalised float32 ones."""
        top, left, flip, hole_y, hole_x = draws
        if self.crop_padding or self.flip:
            images = crop_and_flip(images, top, left, flip, self.crop_padding)
        images = normalize(images, mean, std)
        return cut_out(images, hole_y, hole_x, self.cutout) if self.cutout else images


def crop_and_flip(images: Tensor, top: Tensor, left: Tensor, flip: Tensor, padding: int) -> Tensor:
    """Cut the window at ``(top, left)`` from each zero-padded image and mirror it where ``flip`` is not 0.

    ``images`` is ``(batch, channels, h, w)``, the others ``(batch,)``. The rows of all windows are copied whole, from
    the images and their mirror images side by side; the result is in channels-last memory order.
    """
    count, channels, height, width = images.shape
    rows, columns = height + 2 * padding, width + 2 * padding
    padded = images.new_zeros(2, count, rows, columns, channels)
    middle = padded[:, :, padding : padding + height, padding : padding + width]
    middle[0], middle[1] = images.permute(0, 2, 3, 1), images.flip(3).permute(0, 2, 3, 1)

    mirrored = flip > 0
    image = torch.arange(count, device=images.device) + count * mirrored
    row = (image * rows + top)[:, None] + torch.arange(height, device=images.device)
    column = torch.where(mirrored, 2 * padding - left, left)
    first = row * columns + column[:, None]  # the pixel that each row of a window begins with: (batch, h)
    strips = padded.flatten().unfold(0, width * channels, channels)  # all that could begin with each pixel: a view
    return strips.index_select(0, first.flatten()).view(count, height, width, channels).permute(0, 3, 1, 2)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``(images / 255 - mean) / std`` for each channel, as float32 in channels-last memory order.

    ``images`` is uint8 ``(batch, channels, h, w)``; ``mean`` and ``std`` are ``(channels,)``, with white as 1.
    """
    count, channels, height, width = images.shape
    images = images.to(torch.float32, memory_format=torch.channels_last)  # a copy: uint8 is never float32
    rows = images.permute(0, 2, 3, 1).view(count, height, width * channels)  # long ones: three values are no vector
    shift, scale = ((255 * values).expand(width, channels).reshape(-1) for values in (mean, std))
    rows.sub_(shift).div_(scale)
    return images


def cut_out(images: Tensor, y: Tensor, x: Tensor, length: int) -> Tensor:
    """Set one square of side ``length`` in each image to 0, in place, and return the images.

    Its centre ``(y, x)``, each ``(batch,)``, may be any pixel, so the square may reach over the edge (the DARTS code,
    Liu et al., 2019, arXiv:1806.09055). The images are normalised, hence 0 is the mean colour.
    """
    height, width = images.shape[-2:]
    row = torch.arange(height, device=images.device) - (y[:, None] - length // 2)
    column = torch.arange(width, device=images.device) - (x[:, None] - length // 2)
    rows = (row >= 0) & (row < length)
    columns = (column >= 0) & (column < length)
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
