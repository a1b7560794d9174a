"""Images in files: decoded once into memory where they fit, else anew in every pass by worker processes."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from supernet import seeds
from supernet.data.decoding import Decoder
from supernet.data.pixels import InMemory, Pixels
from supernet.data.views import Views
from supernet.errors import UserError

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
    """

    paths: Sequence[Path]
    decoder: Decoder
    memory_limit: int
    num_workers: int
    views: Views | None = None
    device: torch.device = CPU
    seed: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, h, w) of every image."""
        return self.decoder.channels, *self.decoder.size

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, positions: Tensor) -> Files:
        """The files at these positions."""
        return dataclasses.replace(self, paths=[self.paths[position] for position in positions.tolist()])

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
        loader = DataLoader(
            _Decoded(self),
            batch_sampler=[chunk.tolist() for chunk in order.split(batch_size) if len(chunk)],
            collate_fn=_as_it_is,
            num_workers=self.num_workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it would draw from the global one
        )
        for images in loader:
            if isinstance(images, UserError):
                raise images
            yield images.to(self.device, non_blocking=True)

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


class _Decoded(Dataset[Tensor]):
    """Decodes a batch at a time; a failure is returned, because a worker would wrap a raised one in its traceback."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def __getitems__(self, positions: list[int]) -> Tensor | UserError:
        try:
            images = [self._decode(position).permute(1, 2, 0) for position in positions]
            return torch.stack(images).permute(0, 3, 1, 2)  # in the memory order of the files, channels last
        except UserError as error:
            return UserError(str(error))

    def _decode(self, position: int) -> Tensor:
        files = self.files
        view = None
        if files.views is not None and files.seed is not None:
            view = functools.partial(files.views, seed=seeds.derive(files.seed, position))
        return files.decoder(files.paths[position], view)


def _as_it_is(batch: Any) -> Any:
    return batch


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
