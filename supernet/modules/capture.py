"""Passes of a supernet as CUDA graphs: its kernels are launched by one call and not, one by one, by Python.

A pass through the network and the one back for its gradients are recorded together, once for each kind of them: those
of the alphas' step keep the weights constant, those of the weights' step the mixture. What is drawn and annealed,
losses and optimizers stay outside, so that nothing which changes from step to step is recorded as a number.
"""

from __future__ import annotations

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
    """Recordings that share their memory, and so must not be done again in turns but one after the other."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """See `Record`."""
        graph = torch.cuda.CUDAGraph()
        # Threads that load data go on with what they do.
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            result = function()
        return graph.replay, result


def recorder(device: torch.device) -> Record | None:
    """What records on a device; None where nothing can."""
    return CUDAGraphs() if device.type == "cuda" else None


class Passes:
    """The passes of one network: as they come in the first call of each kind, recorded from the second on.

    The gradients of a pass must be asked for before the next of its kind. What cannot be recorded is run as it comes: a
    mixture that runs single operations, and a network whose layers draw random numbers.

    Args:
        network: whose passes they are.
        logits: runs it.
    """

    def __init__(self, network: Network, logits: Logits) -> None:
        self.network = network
        self.logits = logits
        self._own = list(network.parameters())
        self._kinds: dict[Hashable, _Pass] = {}
        self._record: Record | None = None
        self._told = False

    def __call__(self, weights: Sequence[Tensor], mixture: Mixture, images: Tensor, track: bool) -> Tensor:
        """As `Logits` says; it can be differentiated once."""
        edges = list(mixture.edges.values()) if mixture.edges is not None else []
        given = [images, *mixture.weights.values(), *edges]
        if mixture.only is not None or not any(one.requires_grad for one in (*given, *weights)) or self._draws():
            return self.logits(weights, mixture, images, track)
        self._record = self._record or recorder(images.device)
        if self._record is None:
            return self.logits(weights, mixture, images, track)
        lent = any(one.data_ptr() != own.data_ptr() for one, own in zip(weights, self._own, strict=True))
        learnt = tuple(weight.requires_grad for weight in weights)
        kind = tuple((one.shape, one.stride(), one.dtype, one.requires_grad) for one in given)
        device = images.device.type
        half = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        key = kind, learnt, lent, len(edges), track, self.network.training, half
        if key not in self._kinds:
            cells = list(mixture.weights)

            def compute(tensors: Sequence[Tensor]) -> Tensor:
                images, *tables = tensors[: len(given)]
                factors = dict(zip(cells, tables[len(cells) :], strict=True)) if edges else None
                mixture = Mixture(dict(zip(cells, tables[: len(cells)], strict=True)), factors)
                # No weight that is cast for this pass may be left to others, nor one of theirs be found here.
                with torch.autocast(device, enabled=half[0], dtype=half[1], cache_enabled=False):
                    return self.logits(tensors[len(given) :], mixture, images, track)

            copied = len(given) + (len(weights) if lent else 0)
            self._kinds[key] = _Pass(compute, [*given, *weights], copied, self._record)
        return cast(Tensor, _Differentiable.apply(self._kinds[key], *given, *weights))

    def _draws(self) -> bool:
        draws = any(cell.draws for cell in self.network.cells)
        if draws and not self._told:
            log.warning("cuda_graphs=true: going on without, as long as operations draw random numbers")
            self._told = True
        return draws


class _Pass:
    """One kind of pass, forth and back, in tensors of its own.

    Args:
        compute: from all tensors to the logits.
        given: tensors as they will be given.
        copied: how many of them, from the first, lie elsewhere each time.
        record: takes down what is done.
    """

    def __init__(
        self, compute: Callable[[Sequence[Tensor]], Tensor], given: Sequence[Tensor], copied: int, record: Record
    ) -> None:
        self.number = 0
        self.compute = compute
        self.record = record
        self.copied = copied
        self.tensors = [
            (one.detach().clone() if i < copied else one.detach()).requires_grad_(one.requires_grad)
            for i, one in enumerate(given)
        ]
        self.wanted = [one for one in self.tensors if one.requires_grad]
        self.replays: tuple[Callable[[], None], Callable[[], None]] | None = None

    def forth(self, given: Sequence[Tensor]) -> Tensor:
        """The logits."""
        self.number += 1
        torch._foreach_copy_(self.tensors[: self.copied], list(given[: self.copied]))
        if self.number == 1:  # libraries choose their algorithms and allocate what they keep, outside any recording
            with torch.enable_grad():
                self.output = self.compute(self.tensors)
        elif self.replays is None:
            self._take_down()
        if self.replays is not None:
            self.replays[0]()
        return self.output.detach().clone()

    def _take_down(self) -> None:
        del self.output  # and with it the nodes of the first pass, which belong to another stream
        with torch.enable_grad():
            forth, self.output = self.record(lambda: self.compute(self.tensors))
        self.towards = torch.zeros_like(self.output)
        back, self.grads = self.record(
            lambda: torch.autograd.grad(self.output, self.wanted, self.towards, allow_unused=True)
        )
        self.output = self.output.detach()  # what was kept for the gradients is the recordings' from now on
        self.replays = forth, back

    def back(self, grad: Tensor) -> list[Tensor | None]:
        """The gradients of all tensors, none of those that are not wanted or not used."""
        grads: Sequence[Tensor | None]
        if self.replays is None:
            grads = torch.autograd.grad(self.output, self.wanted, grad, allow_unused=True)
        else:
            self.towards.copy_(grad)
            self.replays[1]()
            grads = self.grads
        found = iter(grads)
        # The next pass of this kind writes into the same memory.
        copies = iter(torch._foreach_mul([one for one in grads if one is not None], 1.0))
        return [next(copies) if one.requires_grad and next(found) is not None else None for one in self.tensors]


class _Differentiable(torch.autograd.Function):
    """A `_Pass` as a part of what autograd knows."""

    @staticmethod
    def forward(ctx: Any, one: _Pass, *given: Tensor) -> Tensor:
        """The logits."""
        logits = one.forth(given)
        ctx.one, ctx.number = one, one.number
        return logits

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        """The gradients."""
        if ctx.number != ctx.one.number:
            raise RuntimeError("a pass of the same kind came between this one and its gradients; please report this")
        return None, *ctx.one.back(grad)
