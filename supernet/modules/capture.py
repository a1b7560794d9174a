"""Passes of a supernet as CUDA graphs: its kernels are launched by one call and not, one by one, by Python.

A pass through the network and the one back for its gradients are recorded together, once for each kind of them: those
of the alphas' step keep the weights constant, those of the weights' step the mixture. What is drawn and annealed,
losses and optimizers stay outside, so that nothing which changes from step to step is recorded as a number.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from search_spaces.network import Network
from supernet.alphas import Mixture

log = logging.getLogger("supernet")

T = TypeVar("T")

Logits = Callable[[Sequence[Tensor], Mixture, Tensor, bool], Tensor]
"""From weights, mixture and images, and whether running statistics are updated, to logits."""


class Record(Protocol):
    """Takes down what a function does on the device."""

    def __call__(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """What does it again, in the same memory, and the function's result, which is valid after the first time."""


class CUDAGraphs:
    """Recordings on one device that share their memory: what one leaves there the next may write over."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()
        # Not torch's own stream for recordings: graphs that go would take the workspace of those that stay with them.
        self.stream = torch.cuda.Stream(device)

    def __call__(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """See `Record`."""
        graph = torch.cuda.CUDAGraph()
        gc.collect()
        collecting = gc.isenabled()
        gc.disable()  # what is freed within a recording, such as an older graph, can make it invalid
        try:
            with (
                torch.cuda.device(self.device),
                torch.cuda.stream(torch.cuda.current_stream(self.device)),  # to come back to, whatever happens
                # Threads that load data go on with what they do.
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"),
            ):
                result = function()
        finally:
            if collecting:
                gc.enable()
        return graph.replay, result


def recorder(device: torch.device) -> Record | None:
    """What records on a device; None where nothing can."""
    return CUDAGraphs(device) if device.type == "cuda" else None


class Passes:
    """The passes of one network: as they come in the first call of each kind, recorded from the second on.

    The gradients of a pass must be asked for before the next pass. What cannot be recorded is run as it comes: a
    mixture that runs single operations, and a network whose layers draw random numbers.

    Args:
        network: whose passes they are.
        logits: runs it.
    """

    def __init__(self, network: Network, logits: Logits) -> None:
        self.network = network
        self.logits = logits
        self._own = list(network.parameters())
        self._addresses: list[int] = []  # where they lay when they were recorded
        self._kinds: dict[Hashable, _Pass] = {}
        self._turn = _Turn()
        self._record: Record | None = None
        self._told = False

    def release(self) -> None:
        """Forget what was recorded; its memory is free at once."""
        self._kinds.clear()
        self._record = None

    def __call__(self, weights: Sequence[Tensor], mixture: Mixture, images: Tensor, track: bool) -> Tensor:
        """As `Logits` says; it can be differentiated once."""
        edges = list(mixture.edges.values()) if mixture.edges is not None else []
        given = [images, *mixture.weights.values(), *edges]
        if mixture.only is not None or not any(one.requires_grad for one in (*given, *weights)) or self._draws():
            return self.logits(weights, mixture, images, track)
        addresses = [weight.data_ptr() for weight in self._own]
        if addresses != self._addresses:
            self.release()
            self._addresses = addresses
            self._record = recorder(images.device)
        if self._record is None:
            return self.logits(weights, mixture, images, track)
        lent = [weight.data_ptr() for weight in weights] != addresses
        learnt = tuple(weight.requires_grad for weight in weights)
        kind = tuple((one.shape, one.stride(), one.dtype, one.device, one.requires_grad) for one in given)
        half = torch.get_autocast_dtype(images.device.type) if torch.is_autocast_enabled(images.device.type) else None
        key = kind, learnt, lent, len(edges), track, self.network.training, half
        if key not in self._kinds:
            compute = _computation(self.logits, list(mixture.weights), len(edges), half, track)
            copied = len(given) + (len(weights) if lent else 0)
            self._kinds[key] = _Pass(compute, [*given, *weights], copied, self._record, self._turn)
        return cast(Tensor, _Differentiable.apply(self._kinds[key], *given, *weights))

    def _draws(self) -> bool:
        draws = any(cell.draws for cell in self.network.cells)
        if draws and not self._told:
            log.warning("cuda_graphs=true: going on without, as long as operations draw random numbers")
            self._told = True
        return draws


def _computation(
    logits: Logits, cells: Sequence[str], edges: int, half: torch.dtype | None, track: bool
) -> Callable[[Sequence[Tensor]], Tensor]:
    """From images, mixing weights, factors of edges and the network's weights to logits."""

    def compute(tensors: Sequence[Tensor]) -> Tensor:
        images, *rest = tensors
        tables, factors, weights = rest[: len(cells)], rest[len(cells) :][:edges], rest[len(cells) + edges :]
        mixture = Mixture(
            dict(zip(cells, tables, strict=True)), dict(zip(cells, factors, strict=True)) if edges else None
        )
        # No weight that is cast for this pass may be left to others, nor one of theirs be found here.
        with torch.autocast(images.device.type, dtype=half, enabled=half is not None, cache_enabled=False):
            return logits(weights, mixture, images, track)

    return compute


class _Turn:
    """The number of the newest pass of all."""

    number = 0


class _Pass:
    """One kind of pass, forth and back, in tensors of its own.

    Args:
        compute: from all tensors to the logits.
        given: tensors as they will be given.
        copied: how many of them, from the first, lie elsewhere each time.
        record: takes down what is done.
        turn: of the passes that are recorded in the same memory.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Tensor]], Tensor],
        given: Sequence[Tensor],
        copied: int,
        record: Record,
        turn: _Turn,
    ) -> None:
        self.turn = turn
        self.compute = compute
        self.record = record
        self.copied = copied
        self.tensors = [
            (one.detach().clone() if i < copied else one.detach()).requires_grad_(one.requires_grad)
            for i, one in enumerate(given)
        ]
        self.wanted = [one for one in self.tensors if one.requires_grad]
        self.output: Tensor | None = None
        self.grads: Sequence[Tensor | None] = ()
        self.replays: tuple[Callable[[], None], Callable[[], None]] | None = None

    def forth(self, given: Sequence[Tensor]) -> Tensor:
        """The logits."""
        self.turn.number += 1
        torch._foreach_copy_(self.tensors[: self.copied], list(given[: self.copied]))
        if self.output is None:  # libraries choose their algorithms and allocate what they keep, outside any recording
            with torch.enable_grad():
                self.output = self.compute(self.tensors)
        else:
            if self.replays is None:
                self.replays = self._recorded()
            self.replays[0]()
        return self.output.detach().clone()

    def _recorded(self) -> tuple[Callable[[], None], Callable[[], None]]:
        """Forth and back."""
        self.output = None  # and with it the nodes of the first pass, which belong to another stream
        with torch.enable_grad():
            forth, output = self.record(lambda: self.compute(self.tensors))
        self.towards = torch.zeros_like(output)
        back, self.grads = self.record(lambda: self._gradients(output, self.towards))
        self.output = output.detach()  # what was kept for the gradients is the recordings' from now on
        return forth, back

    def _gradients(self, output: Tensor, towards: Tensor) -> Sequence[Tensor | None]:
        if not output.requires_grad:  # it depends on nothing that is wanted
            return [None] * len(self.wanted)
        return torch.autograd.grad(output, self.wanted, towards, allow_unused=True)

    def back(self, grad: Tensor) -> list[Tensor | None]:
        """The gradients of all tensors, none of those that are not wanted or not used."""
        assert self.output is not None
        if self.replays is None:
            grads = self._gradients(self.output, grad)
        else:
            self.towards.copy_(grad)
            self.replays[1]()
            grads = self.grads
        found, used = iter(grads), [one for one in grads if one is not None]
        # The next pass of this kind writes into the same memory.
        copies = iter(torch._foreach_mul(used, 1.0) if used else ())
        return [next(copies) if one.requires_grad and next(found) is not None else None for one in self.tensors]


class _Differentiable(torch.autograd.Function):
    """A `_Pass` as a part of what autograd knows."""

    @staticmethod
    def forward(ctx: Any, one: _Pass, *given: Tensor) -> Tensor:
        """The logits."""
        logits = one.forth(given)
        ctx.one, ctx.number = one, one.turn.number
        return logits

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        """The gradients."""
        if ctx.number != ctx.one.turn.number:
            raise RuntimeError("another pass came between this one and its gradients; please report this")
        return None, *ctx.one.back(grad)
