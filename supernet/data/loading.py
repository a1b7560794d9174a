"""Passes over a split, epoch by epoch, that can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images ``(batch, channels, h, w)``, normalised float32 in channels-last memory order, and labels ``(batch,)``."""


@dataclass(frozen=True)
class Part:
    """Which part of a pass a process takes: its number, from 0 on, and how many processes there are."""

    number: int = 0
    of: int = 1


class Loader:
    """Passes over one split of some images; made by `supernet.data.images.Images.loader`.

    The epoch is asked for when the first batch is, not when iteration is prepared: a trainer prepares it before it
    knows the epoch that it resumes in.

    The state is the place within an epoch. After it was loaded, the next pass starts there if it is of that epoch;
    every other pass starts at the first batch.

    Args:
        batches: called with epoch and first batch number, gives the rest of the pass.
        length: gives the number of batches in a whole pass.
        epoch: names the current epoch.
    """

    def __init__(
        self, batches: Callable[[int, int], Iterator[Batch]], length: Callable[[], int], epoch: Callable[[], int]
    ) -> None:
        self._batches = batches
        self._length = length
        self._epoch = epoch
        self._given = (0, 0)  # the last pass: its epoch, and how many batches it has given
        self._resume = (0, 0)

    def __len__(self) -> int:
        return self._length()

    def __iter__(self) -> Iterator[Batch]:
        epoch = self._epoch()
        resumed, place = self._resume
        start = place if epoch == resumed else 0
        self._resume = (0, 0)
        for number, batch in enumerate(self._batches(epoch, start), start):
            self._given = (epoch, number + 1)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The place: the epoch of the last pass, and how many of its batches were given."""
        epoch, batches = self._given
        return {"epoch": epoch, "batches": batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass go on at that place."""
        self._resume = (state["epoch"], state["batches"])
