"""A few labelled images for scores that look at untrained networks: always the same, in class-balanced batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from supernet import seeds

Batch = tuple[Tensor, Tensor]
"""Images ``(batch, channels, h, w)``, normalised, and labels ``(batch,)``."""


class Samples:
    """Class-balanced batches of some images, a function of the seed alone.

    The images are put into one order, in which the classes take turns for as long as each has any left; batch
    ``number`` is the ``number``-th stretch of it. Batches therefore differ from each other, and a smaller batch is the
    beginning of a larger one.

    Args:
        labels: of all images ``(images,)``, on the CPU.
        load: from positions ``(batch,)`` to images ``(batch, channels, h, w)``, normalised and not augmented.
        image: (channels, h, w).
        num_classes: how many classes there are.
        seed: determines the order.
    """

    def __init__(
        self,
        labels: Tensor,
        load: Callable[[Tensor], Tensor],
        image: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.load = load
        self.image = image
        self.num_classes = num_classes
        self.seed = seed
        generator = torch.Generator().manual_seed(seeds.derive(seed, seeds.SAMPLES))
        mixed = torch.randperm(len(labels), generator=generator)
        turns = torch.empty_like(labels)
        for label in range(num_classes):
            mine = mixed[labels[mixed] == label]
            turns[mine] = torch.arange(len(mine))
        self._order = mixed[torch.argsort(turns[mixed] * num_classes + labels[mixed])]
        self._kept: dict[tuple[int, int, str], Batch] = {}

    @classmethod
    def of(cls, images: Tensor, labels: Tensor, num_classes: int, seed: int = 0) -> Samples:
        """Samples of images that are in memory ``(images, channels, h, w)``."""
        channels, height, width = images.shape[1:]
        return cls(labels, lambda positions: images[positions], (channels, height, width), num_classes, seed)

    def batch(self, size: int, number: int = 0, device: torch.device | str = "cpu") -> Batch:
        """Batch ``number`` of this size; the last one that fits is followed by the first.

        Raises ValueError where there are fewer images than a batch needs.
        """
        key = (size, number % self._fitting(size), str(device))
        if key not in self._kept:
            positions = self.positions(size, number)
            self._kept[key] = self.load(positions).to(device), self.labels[positions].to(device)
        return self._kept[key]

    def positions(self, size: int, number: int = 0) -> Tensor:
        """Which images `batch` has ``(size,)``."""
        start = number % self._fitting(size) * size
        return self._order[start : start + size]

    def _fitting(self, size: int) -> int:
        fitting = len(self.labels) // size
        if not fitting:
            raise ValueError(f"a batch of {size} images is asked for, but there are {len(self.labels)}")
        return fitting
