"""Selection by perturbation without training: a score of the untrained supernet takes the place of its accuracy.

Xiang, Dudziak, Abdelfattah, Chau, Lane and Wen, "Zero-Cost Operation Scoring in Differentiable Architecture Search"
(Zero-Cost-PT), 2021, arXiv:2106.06799, and github.com/visionbasicagent/zerocost_operation_score.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from search_spaces.architecture import DROPPED, Allowed, Architecture
from search_spaces.network import Network
from search_spaces.space import SearchSpace
from supernet.data.images import Images
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.supernets import Mixed, uniform
from supernet.evaluation.progress import watched
from supernet.modules.search import SearchModule
from supernet.searchers.history import comparable
from supernet.selection.base import (
    CANDIDATES,
    SCORE,
    SCORES,
    Selected,
    Selection,
    at_least,
    prepare,
    require_finite,
    task_of,
)
from supernet.selection.decisions import decide
from supernet.selection.journal import Journal
from supernet.selection.pruning import restricted, without_none
from supernet.selection.undecided import UNDECIDED
from supernet.warm_start.scoring import thin

log = logging.getLogger("supernet")


class ZeroCostPerturbation(Selection):
    """Decides as `decide` does, with the score of the rest of the untrained supernet as its quality.

    Several random orders of the edges each propose an architecture; that with the best score as a network of its own,
    averaged over more batches, is returned. ``scores.csv`` has every score of a supernet, ``candidates.csv`` those of
    the proposed architectures.

    All supernets of a search have the same weights and see the same images. What is taken away, or was decided against,
    is not computed, and leaves its share of the mixture to nothing else.

    The published code may choose ``none``: no score falls without it, but some, such as a gradient norm, rise without
    anything else.

    Args:
        folder: of the run.
        estimator: a training-free score.
        orders: how many random orders.
        validation_batches: how many batches judge a proposed architecture.
        none: whether ``none`` is mixed in and may be chosen; it may wherever an edge or a pool has nothing else.
        channels: of the supernet, which is then as short as the space allows; None for the space's own supernet.
    """

    respects_pool = True
    needs_training = False
    measures = (SCORE,)

    def __init__(
        self,
        folder: str | Path,
        estimator: EstimatorFactory,
        orders: int = 10,
        validation_batches: int = 100,
        none: bool = False,
        channels: int | None = None,
    ) -> None:
        at_least(1, orders=orders, validation_batches=validation_batches)
        self.folder = Path(folder)
        self.estimator = estimator
        self.orders = orders
        self.validation_batches = validation_batches
        self.none = none
        self.channels = channels

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self._proxy(replace(task, space=thin(task.space, self.channels)))

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        task = task_of(module, images)
        proxy = self._proxy(replace(task, space=thin(task.space, self.channels)))
        space = task.space if self.none else _without_none(task.space)
        journal = Journal(self.folder / SCORES, ("decided", "cell", "edge", "without"), ("score",))

        def quality(partial: Architecture, cell: str, edge: int, operation: int | None) -> float:
            name = "everything" if operation is None else space.operations[cell][operation]
            source, node = space.edges[cell][edge]
            weights = mixture(space, partial, cell, edge, operation)
            key = (_text(partial), cell, f"{source}->{node}", name)
            (found,) = journal(key, lambda: (supernet_score(proxy, weights),))
            return found

        proposed: dict[Architecture, None] = {}
        for number in range(1, self.orders + 1):
            watch = functools.partial(watched, title=f"order {number} of {self.orders}")
            found = decide(space, quality, lambda partial: None, generator, uniform(space.allowed), watch)
            log.info("order %d of %d: %s", number, self.orders, space.format(found))
            proposed[found] = None
        alone = self._proxy(task)
        alone.batches = self.validation_batches
        candidates = Journal(self.folder / CANDIDATES, ("arch",), ("score",))
        scores = {one: candidates((space.format(one),), functools.partial(_score, alone, one))[0] for one in proposed}
        require_finite(list(scores.values()))
        best = max(scores, key=lambda one: comparable(scores[one]))
        return Selected(best, {SCORE: scores[best]})

    def _proxy(self, task: Task) -> Proxy:
        estimator = self.estimator(task)
        if not isinstance(estimator, Proxy):
            raise ValueError(f"{type(estimator).__name__} cannot look at a supernet; choose a training-free score")
        return estimator


def mixture(
    space: SearchSpace, partial: Architecture, cell: str, edge: int, operation: int | None
) -> dict[str, Tensor]:
    """The mixing weights after these decisions, without one operation of an edge, or (None) without the edge.

    A decided operation has weight one; the operations of an undecided edge have equal shares.
    """
    weights = uniform(space.allowed)
    for name, row in partial.choices:
        for index, choice in enumerate(row):
            if choice != UNDECIDED:
                weights[name][index] = 0.0
            if choice not in (UNDECIDED, DROPPED):
                weights[name][index, choice] = 1.0
    weights[cell][edge if operation is None else (edge, operation)] = 0.0
    return weights


def supernet_score(proxy: Proxy, weights: dict[str, Tensor]) -> float:
    """What a proxy says of its space's supernet, of which only operations that have a weight are left."""
    space = proxy.task.space
    allowed = {cell: table != 0 for cell, table in weights.items()}
    row = proxy.average(space.supernet, lambda whole: Mixed(part_of(space, whole, allowed), weights))
    return float(proxy.combine(torch.tensor([row], dtype=torch.float64)))


def part_of(space: SearchSpace, whole: nn.Module, allowed: Allowed) -> Network:
    """The network of some operations of a supernet, with the supernet's weights."""
    assert isinstance(whole, Network)
    part = space.build(allowed, searching=True)
    part.inherit(whole)
    return part


def _without_none(space: SearchSpace) -> SearchSpace:
    try:
        return restricted(space, without_none(space))
    except ValueError:  # all architectures of a pool have it
        return space


def _score(proxy: Proxy, architecture: Architecture) -> tuple[float]:
    return (float(proxy.score([architecture])),)


def _text(partial: Architecture) -> str:
    """The decisions, ``.`` where there is none yet and ``-`` on an edge that is dropped."""
    signs = {UNDECIDED: ".", DROPPED: "-"}
    return ";".join(" ".join(signs.get(choice, str(choice)) for choice in row) for _, row in partial.choices)
