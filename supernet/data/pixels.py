"""Raw images by position, and the same kept in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


class Pixels(ABC):
    """A sequence of raw images of one shape."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(channels, h, w) of every image."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, positions: Tensor) -> Pixels:
        """The images at these positions, an int64 tensor on the CPU, in their order."""

    @abstractmethod
    def ready(self) -> Pixels:
        """The same images in the form in which many passes over them are cheapest."""

    @abstractmethod
    def to(self, device: torch.device) -> Pixels:
        """The same images, with `batches` on this device."""

    @abstractmethod
    def batches(self, order: Tensor, batch_size: int) -> Iterator[Tensor]:
        """The images at positions ``order``, uint8 ``(batch_size, channels, h, w)``; the last batch may be smaller."""

    def varied(self, seed: int) -> Pixels:
        """The images for one pass of training: views that follow from the seed, where the images have such."""
        return self

    @abstractmethod
    def release(self) -> None:
        """End processes that passes have left to the next ones; a later pass starts them anew."""

    @abstractmethod
    def sample(self) -> Tensor:
        """Positions of enough images to measure mean and deviation."""


@dataclass(frozen=True)
class InMemory(Pixels):
    """Images in one uint8 tensor ``(count, channels, h, w)``; batches are made on the device where it lies.

    Batches are in channels-last memory order, and are copied fastest from images that are.
    """

    images: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, h, w) of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: Tensor) -> InMemory:
        """The images at these positions."""
        return InMemory(self.images[positions.to(self.images.device)])

    def ready(self) -> InMemory:
        """These images in channels-last memory order."""
        return InMemory(self.images.contiguous(memory_format=torch.channels_last))

    def to(self, device: torch.device) -> InMemory:
        """The images on this device."""
        return InMemory(self.images.to(device))

    def batches(self, order: Tensor, batch_size: int) -> Iterator[Tensor]:
        """The images at positions ``order``."""
        order = order.to(self.images.device)
        images = self.images.permute(0, 2, 3, 1)
        for chosen in order.split(batch_size) if len(order) else ():
            yield images.index_select(0, chosen).permute(0, 3, 1, 2)

    def release(self) -> None:
        """There are no processes."""

    def sample(self) -> Tensor:
        """All of them."""
        return torch.arange(len(self))
