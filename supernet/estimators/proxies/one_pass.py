"""Scores that one forward pass is enough for: those that look under the same conditions share it, and what follows.

The features, the gradient for the images and that of the loss for the weights are made once for all of them. What is
measured is bit for bit what each score measures by itself.
"""

from __future__ import annotations

import contextlib
import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from supernet.estimators.base import Measured
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.features import recorded
from supernet.estimators.proxies.layers import weight_gradients

Need = Literal["features", "jacobians", "input_gradients", "loss_gradients"]
"""``features``: the maps of `features.recorded`; ``jacobians``: gradients between them; the others: see `Pass`."""
Found = TypeVar("Found")


class Pass:
    """One forward pass of a network, and what is made of it, once each.

    Args:
        network: from images to logits.
        images: ``(batch, channels, h, w)``.
        labels: ``(batch,)``.
        needs: what will be asked for; nothing else may be.

    Attributes:
        network: see above.
        labels: see above.
        logits: ``(batch, classes)``.
        features: the feature maps, in order; empty unless needed.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, needs: frozenset[Need]) -> None:
        self.network = network
        self.labels = labels
        self._images = images.detach().requires_grad_() if "input_gradients" in needs else images
        self._backwards = set(needs - {"features"})
        self._made: dict[Any, Any] = {}
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(bool(self._backwards)))
            self.features: list[Tensor] = stack.enter_context(recorded(network)) if "features" in needs else []
            self.logits: Tensor = network(self._images)

    @cached_property
    def input_gradients(self) -> Tensor:
        """The gradient of the sum of all logits for each image ``(batch, channels * h * w)``."""
        retain = self._goes_on_after("input_gradients")
        (gradient,) = torch.autograd.grad(self.logits.sum(), self._images, retain_graph=retain)
        return gradient.flatten(1)

    @cached_property
    def loss_gradients(self) -> list[Tensor]:
        """The gradient of the mean cross-entropy for each of `layers.weights`."""
        retain = self._goes_on_after("loss_gradients")
        return weight_gradients(F.cross_entropy(self.logits, self.labels), self.network, retain_graph=retain)

    def once(self, function: Callable[[Sequence[Tensor]], Found]) -> Found:
        """What a function gives of the features."""
        if function not in self._made:
            self._made[function] = function(self.features)
        return cast(Found, self._made[function])

    def _goes_on_after(self, need: Need) -> bool:
        """Whether another backward pass needs the graph."""
        self._backwards.discard(need)
        return bool(self._backwards)


class OnePass(Proxy):
    """A single number from a `Pass`; it leaves the network as it is.

    A subclass keeps the batch and the network of `Proxy`.

    Attributes:
        needs: what it asks of the pass.
    """

    needs: ClassVar[frozenset[Need]]

    @abstractmethod
    def of(self, seen: Pass) -> float:
        """The number, higher is better."""

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `Proxy.measure`."""
        return self.of(Pass(network, images, labels, self.needs))

    @property
    def conditions(self) -> Hashable:
        """Equal for those that see the same."""
        counts = self.batch_size, self.batches, self.inits
        return id(self.task), self.input, self.initialisation, self.normalisation, self.dtype, counts


def together(parts: Sequence[Measured], architecture: Architecture) -> tuple[float, ...]:
    """The measurements of all parts, one after the other; those that can share their passes do."""
    groups: dict[Hashable, list[OnePass]] = {}
    for part in parts:
        if isinstance(part, OnePass):
            groups.setdefault(part.conditions, []).append(part)
    found: dict[Measured, tuple[float, ...]] = {}
    for group in groups.values():
        found |= {part: (value,) for part, value in zip(group, _shared(group, architecture), strict=True)}
    return tuple(
        value for part in parts for value in (found[part] if part in found else part.measurements(architecture))
    )


def _shared(parts: Sequence[OnePass], architecture: Architecture) -> tuple[float, ...]:
    first, needs = parts[0], frozenset[Need]().union(*(part.needs for part in parts))
    device, space = first.task.device, first.task.space
    cuda = [device] if device.type == "cuda" else []

    def measure(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, ...]:
        seen, values = Pass(network, images, labels, needs), []
        for part in parts:
            with torch.random.fork_rng(devices=cuda):  # each draws what it draws by itself
                values.append(part.of(seen))
        return tuple(values)

    if not space.is_valid(architecture):
        return (-math.inf,) * len(parts)
    return first.average(lambda: space.network(architecture), measure=measure)
