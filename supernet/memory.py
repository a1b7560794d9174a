"""How much memory a step takes, and what to say when there is not enough."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from supernet.errors import MEMORY


class Live(TorchDispatchMode):
    """Counts, within it, the bytes of all tensors that are alive, also those that a graph keeps for its backward pass.

    What a kernel takes for itself while it runs is not seen.

    Args:
        known: tensors that were there before and do not count.

    Attributes:
        now: bytes alive.
        peak: the most there were.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()
        for tensor in known:
            self._known[tensor.untyped_storage()] = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it has made."""
        made = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, made)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = size
        weakref.finalize(storage, self._free, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _free(self, size: int) -> None:
        self.now -= size


@dataclass(frozen=True)
class Need:
    """The memory that a step takes: ``fixed + per_image * batch`` bytes."""

    fixed: int
    per_image: int

    def of(self, batch: int) -> int:
        """Bytes for a batch of so many images (of each half, in a search)."""
        return self.fixed + self.per_image * batch

    def largest(self, memory: int) -> int:
        """The most images that fit."""
        return max(0, (memory - self.fixed) // self.per_image)


def need(step: Callable[[int], object], lasting: Iterable[Tensor], few: int = 8) -> Need:
    """What a step takes, from its peaks with two small batches.

    Args:
        step: does all of a step for a batch of so many images, on the CPU.
        lasting: what is there all the time, with its gradients and the optimizers' state.
        few: the smaller of the batches; the other has twice as many. What images take must outweigh what they do not,
            else the peak is at another moment of the step than that of a large batch.
    """
    lasting = list(lasting)
    peaks = []
    for batch in (few, 2 * few):
        with Live(lasting) as live:
            step(batch)
        peaks.append(live.peak)
    per_image = max(1, (peaks[1] - peaks[0]) // few)
    return Need(sum(t.untyped_storage().nbytes() for t in lasting) + max(0, peaks[0] - few * per_image), per_image)


def shown(size: int) -> str:
    """Bytes as one reads them."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory, of the device or of the machine, did not suffice."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def message(step: Need | None, batch: int, memory: int | None) -> str:
    """What to tell a user: what a step with this batch takes, what would fit, and what helps."""
    said = "out of memory"
    if step is not None:
        said += f": a step with {batch} images in a process takes about {step.of(batch) / 2**30:.1f} GiB"
        if memory is not None:
            said += f", and the device has {memory / 2**30:.1f}"
            fits = int(step.largest(int(0.9 * memory)))
            said += f", enough for about {fits}" if fits else ", not enough for any batch"
    return f"{said}; {MEMORY}"
