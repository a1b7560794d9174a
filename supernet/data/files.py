"""Images in files: decoded once into memory where they fit, else anew in every pass by worker processes."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from torch import Tensor

from supernet.data.decoding import Decoder
from supernet.data.pixels import InMemory, Pixels
from supernet.data.streaming import Decoded, Streams
from supernet.data.views import Views

MOST_WORKERS = 8
QUIET_SECONDS = 2.0  # only decoding that takes longer shows a progress bar
STATISTICS_IMAGES = 10_000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Files(Pixels):
    """Images in files.

    Attributes:
        paths: one a file.
        decoder: gives each its pixels.
        memory_limit: in bytes; raw images that take no more are kept in memory.
        num_workers: threads that decode into memory, or processes that decode in every pass (0: this one).
        views: what differs from pass to pass; None for nothing. Such images are never kept in memory.
        device: where batches go.
        seed: of the views in the next passes; None for the images as they are.
        streams: the workers that decode in every pass, for all that has the same files.
    """

    paths: Sequence[Path]
    decoder: Decoder
    memory_limit: int
    num_workers: int
    views: Views | None = None
    device: torch.device = CPU
    seed: int | None = None
    streams: Streams = dataclasses.field(default_factory=Streams, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, h, w) of every image."""
        return self.decoder.channels, *self.decoder.size

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, positions: Tensor) -> Files:
        """The files at these positions."""
        paths = [self.paths[position] for position in positions.tolist()]
        return dataclasses.replace(self, paths=paths, streams=Streams())

    def ready(self) -> Pixels:
        """The decoded images where they fit in memory, else these files."""
        fits = self.views is None and len(self) * math.prod(self.shape) <= self.memory_limit
        return InMemory(self._decode_all()) if fits else self

    def varied(self, seed: int) -> Files:
        """These files in views of the images; that of one file follows from the seed and its position alone."""
        return self if self.views is None else dataclasses.replace(self, seed=seed)

    def to(self, device: torch.device) -> Files:
        """These files, with batches on this device."""
        return dataclasses.replace(self, device=device)

    def batches(self, order: Tensor, batch_size: int) -> Iterator[Tensor]:
        """The images at positions ``order``; workers decode ahead. Raises `UserError` for a bad file."""
        batches = [[(position, self.seed) for position in chunk.tolist()] for chunk in order.split(batch_size)]
        files = Decoded(self.paths, self.decoder, self.views)
        batches = [batch for batch in batches if batch]
        for images in self.streams.batches(files, batches, self.num_workers, self.device.type == "cuda"):
            yield images.to(self.device, non_blocking=True)

    def release(self) -> None:
        """End the workers."""
        self.streams.close()

    def sample(self) -> Tensor:
        """At most 10,000 of them."""
        return torch.tensor(evenly(len(self), STATISTICS_IMAGES))

    def _decode_all(self) -> Tensor:
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8, memory_format=torch.channels_last)

        def decode(position: int) -> None:
            images[position] = self.decoder(self.paths[position])

        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            for _ in _shown(pool.map(decode, range(len(self))), len(self)):
                pass
        return images


def _shown(steps: Iterator[None], total: int) -> Iterator[None]:
    """The same steps, with a progress bar on a terminal once they take long."""
    console = Console(stderr=True)
    bar = Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console, transient=True)
    task = bar.add_task("decoding images", total=total)
    began = time.monotonic()
    try:
        for step in steps:
            yield step
            bar.advance(task)
            if sys.stderr.isatty() and not bar.live.is_started and time.monotonic() - began > QUIET_SECONDS:
                bar.start()
    finally:
        if bar.live.is_started:
            bar.stop()


def default_workers() -> int:
    """One worker for each processor that this process may use, at most 8."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, processors)


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` (at least 2) of the positions 0 to ``count - 1``, evenly spaced from the first to the last."""
    if count <= most:
        return list(range(count))
    return [step * (count - 1) // (most - 1) for step in range(most)]
