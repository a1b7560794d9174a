"""Worker processes that decode files ahead, pass after pass: they are started once and stay."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from supernet import seeds
from supernet.data.decoding import Decoder
from supernet.data.views import Views
from supernet.errors import UserError

Item = tuple[int, int | None]
"""The position of a file and the seed of the views in a pass; None for the image as it is."""


@dataclass(frozen=True)
class Decoded(Dataset[Tensor]):
    """Decodes a batch at a time; a failure is returned, because a worker would wrap a raised one in its traceback.

    Attributes:
        paths: of the files.
        decoder: gives each its pixels.
        views: what differs from pass to pass; None for nothing.
    """

    paths: Sequence[Path]
    decoder: Decoder
    views: Views | None

    def __getitems__(self, items: list[Item]) -> Tensor | UserError:
        """The images ``(batch, channels, h, w)``, in the memory order of files: channels last."""
        try:
            return torch.stack([self._decode(*item).permute(1, 2, 0) for item in items]).permute(0, 3, 1, 2)
        except UserError as error:
            return UserError(str(error))

    def _decode(self, position: int, seed: int | None) -> Tensor:
        view = None
        if self.views is not None and seed is not None:
            view = functools.partial(self.views, seed=seeds.derive(seed, position))
        return self.decoder(self.paths[position], view)


class Streams:
    """Passes over the same files, also several at once: each takes workers that are idle, and starts some if none are.

    A pass that is abandoned leaves its workers to others, like one that has ended. A copy starts its own.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[int, bool], list[_Stream]] = {}

    def __reduce__(self) -> tuple[type[Streams], tuple[()]]:
        return Streams, ()

    def close(self) -> None:
        """End the workers that are idle; the next passes start others."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()

    def batches(self, files: Decoded, batches: list[list[Item]], num_workers: int, pin: bool) -> Iterator[Tensor]:
        """One pass. Raises `UserError` for a bad file.

        Args:
            files: the same in every call.
            batches: the files of each.
            num_workers: processes that decode; 0 for this one.
            pin: whether images come in page-locked memory, from where they are copied to a GPU without a wait.
        """
        if not batches:
            return
        idle = self._idle.setdefault((num_workers, pin), [])
        stream = idle.pop() if idle else _Stream(files, num_workers, pin)
        remaining = len(batches)
        try:
            for images in stream.batches(batches):
                remaining -= 1
                if not remaining:
                    idle.append(stream)  # now, for whoever knows the length does not ask for more than the last one
                yield images
                if not remaining:
                    return  # and whoever does ask must not touch what others have by now
        except GeneratorExit:
            if remaining:
                idle.append(stream)
            raise
        except BaseException:
            stream.close()
            raise


class _Stream:
    """A loader whose batches are exchanged before each pass."""

    def __init__(self, files: Decoded, num_workers: int, pin: bool) -> None:
        self._batches: list[list[Item]] = []
        self._loader: DataLoader[Tensor] = DataLoader(
            files,
            batch_sampler=self._batches,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=pin,
            worker_init_fn=_only_told_by_its_parent,
            generator=torch.Generator(),  # else it would draw from the global one
        )

    def batches(self, batches: list[list[Item]]) -> Iterator[Tensor]:
        """One pass; see `Streams.batches`."""
        self._batches[:] = batches
        for images in self._loader:
            if isinstance(images, UserError):
                raise images
            yield images

    def close(self) -> None:
        """End the workers now: whoever collects them together with others, as in a traceback, waits for seconds."""
        del self._loader


def _only_told_by_its_parent(number: int) -> None:
    """Leave what a scheduler tells a whole job to the process that reads: it saves, and then ends its workers."""
    for other in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(other, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # it tells who sends, and not every system has it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_if_told_by, args=(os.getppid(),), daemon=True).start()


def _end_if_told_by(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def _as_it_is(batch: Any) -> Any:
    return batch
