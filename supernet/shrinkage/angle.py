"""Angle-based shrinking: operations whose weights have hardly turned since their initialisation go.

Hu, Liang, Guo, Wan, Zhang, Wei, Gu and Sun, "Angle-based Search Space Shrinking for Neural Architecture Search" (ABS),
2020, arXiv:2004.13431. A supernet is trained by single paths. Of an architecture the weights of all operations on all
paths from a cell's input to its output are put side by side, into V_0 as they were initialised and V as they are
trained; its angle is ``arccos(V_0 V / (|V_0| |V|))``. The score of an operation is the mean angle of the architectures
that have it.

An operation that lies on n paths is in V n times, so that a product of two such vectors is a sum over operations, each
with its number of paths for a factor; three numbers an operation say all. Pooling has the fixed weights of the
convolution that it is, ``1 / k^2`` for each channel; a skip connection has none; ``none`` and ``noise`` are on no path.
Stem, head and what else every architecture has are left out. The last three sentences are our reading of the paper.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.cell import Cell
from search_spaces.network import Network
from search_spaces.space import SearchSpace
from search_spaces.wiring import Group
from supernet import seeds
from supernet.estimators.base import Task
from supernet.evaluation.progress import watched
from supernet.shrinkage.base import Round, Shrinkage, Shrunk, whole
from supernet.shrinkage.diversity import mean_distance
from supernet.shrinkage.drawn import acceptable
from supernet.warm_start.base import CUTTING, Effort
from supernet.warm_start.pruning import Pruning

MOMENTUM, WEIGHT_DECAY, CLIP = 0.9, 3e-4, 5.0
ATTEMPTS = 100
"""Draws for each architecture that is acceptable."""


class Angle(Shrinkage):
    """Trains a supernet, drops the operations with the smallest angles, goes on with its weights, and so on.

    Args:
        rounds: how often operations are dropped.
        steps: of training before each; SGD with momentum, one architecture a step.
        drop: the share of each cell type's operations that go in a round, see `Pruning`, as the next two.
        min_ops: see there.
        protected: see there.
        n_archs: architectures that the angles are taken of.
        batch_size: images of a step, without augmentation.
        lr: learning rate.
        channels: of the supernet, which is then as short as the space allows; None for the space's own.
    """

    leaves_pool: ClassVar[bool] = False

    def __init__(
        self,
        rounds: int = 3,
        steps: int = 500,
        drop: float = 0.15,
        min_ops: int = 2,
        protected: Sequence[str] = (),
        n_archs: int = 1000,
        batch_size: int = 64,
        lr: float = 0.05,
        channels: int | None = None,
    ) -> None:
        whole(rounds=rounds, steps=steps, n_archs=n_archs, batch_size=batch_size)
        whole(**({} if channels is None else {"channels": channels}))
        if not isinstance(lr, int | float) or isinstance(lr, bool) or not 0 < lr < math.inf:
            raise ValueError(f"lr is {lr}: it must be a number above 0")
        self.pruning = Pruning(drop, min_ops, protected)
        self.rounds = rounds
        self.steps = steps
        self.n_archs = n_archs
        self.batch_size = batch_size
        self.lr = lr
        self.channels = channels

    def check(self, task: Task) -> None:
        """See `Shrinkage.check`."""
        self.pruning.check(task.space)
        if self.batch_size > len(task.samples.labels):
            raise ValueError(f"batch_size is {self.batch_size}, but there are {len(task.samples.labels)} images")

    def look(self, task: Task) -> Shrunk:
        """See `Shrinkage.look`."""
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.SHRINKAGE))
        space = task.space if self.channels is None else task.space.thin(self.channels)
        with torch.random.fork_rng(devices=[task.device] if task.device.type == "cuda" else []):
            torch.manual_seed(seeds.derive(task.seed, seeds.SHRINKAGE, 1))  # also for operations that are random
            return self._look(task, space, generator)

    def _look(self, task: Task, space: SearchSpace, generator: Generator) -> Shrunk:
        supernet = space.supernet().to(task.device)
        initial = copy.deepcopy(supernet)
        rounds: list[Round] = []
        before, scores, step = space, {}, 0
        for number in range(self.rounds):
            steps = range(step, step + self.steps)
            self._train(supernet, before, task, watched(steps, f"shrinkage, round {number + 1}"), generator)
            step += self.steps
            turned = Turned(before, initial, supernet)
            sample = [one for one in before.sample(self.n_archs, generator) if before.is_valid(one)]
            angles = turned.angles(sample)
            scores = operation_scores(before, sample, angles)
            mean, best = float(angles.mean()), float(angles.max())
            rounds.append(Round(before.size(), mean, best, mean_distance(before), (number + 1) * self.n_archs))
            before = self.pruning(before, scores)
        effort = Effort(self.rounds * self.n_archs, step, step)  # angles need no pass of their own
        return Shrunk(task.space.restrict(before.allowed), scores, None, effort, None, tuple(rounds))

    def _train(
        self, supernet: Network, space: SearchSpace, task: Task, steps: Iterator[int], generator: Generator
    ) -> None:
        accept = acceptable(Task(space, task.samples, task.seed))
        optimizer = torch.optim.SGD(supernet.parameters(), self.lr, MOMENTUM, weight_decay=WEIGHT_DECAY)
        supernet.train()
        for step in steps:
            drawn = (space.sample(1, generator)[0] for _ in range(ATTEMPTS))
            one = next(filter(accept, drawn), None)
            if one is None:
                raise ValueError(f"no valid architecture of {space.name} was found")
            images, labels = task.samples.batch(self.batch_size, step, task.device)
            weights = {cell: table.to(images) for cell, table in one.one_hot(space.operations).items()}
            only = {cell: list(row) for cell, row in one.choices}
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(supernet(images, weights, None, only), labels).backward()
            nn.utils.clip_grad_norm_(supernet.parameters(), CLIP)
            optimizer.step()


class Turned:
    """How far the operations of a supernet have turned.

    Args:
        space: whose allowed operations are looked at.
        initial: the supernet before training.
        trained: the same after it.

    Attributes:
        products: for each cell type ``(3, edges, operations)``: of the weights before and after, of those before with
            themselves, of those after with themselves, each summed over the cells of the type.
    """

    def __init__(self, space: SearchSpace, initial: Network, trained: Network) -> None:
        self.space = space
        self.products = {
            cell: torch.zeros(3, *table.shape, dtype=torch.float64) for cell, table in space.allowed.items()
        }
        self.output: dict[str, Literal["last", "concat"]] = {cell.cell_type: cell.output for cell in trained.cells}
        for before, after in zip(initial.cells, trained.cells, strict=True):
            for group in before.groups:
                if group.operation not in CUTTING:
                    found = _products(before, after, group)
                    self.products[before.cell_type][:, list(group.edges), group.index] += found

    def angles(self, architectures: Sequence[Architecture]) -> Tensor:
        """The angle of each ``(architectures,)``, in radians; 0 for one without weights."""
        return torch.tensor([self._angle(one) for one in architectures], dtype=torch.float64)

    def _angle(self, architecture: Architecture) -> float:
        total = torch.zeros(3, dtype=torch.float64)
        for cell, row in architecture.choices:
            counts = paths(self.space, cell, row, self.output[cell])
            for edge, count in enumerate(counts):
                if count:
                    total += count * self.products[cell][:, edge, row[edge]]
        product, before, after = total.tolist()
        if not before * after > 0:
            return 0.0
        return float(torch.tensor(product / (before * after) ** 0.5).clamp(-1, 1).arccos())


def paths(space: SearchSpace, cell: str, row: Sequence[int], output: Literal["last", "concat"]) -> list[int]:
    """How many paths from a cell's inputs to its output lead over each edge.

    The output is the last node, or all but the inputs side by side.
    """
    edges, names = space.edges[cell], space.operations[cell]
    live = [choice != DROPPED and names[choice] not in CUTTING for choice in row]
    ends = {node for _, node in edges}
    into = {source: 1 for source, _ in edges if source not in ends}
    for node in sorted(ends):
        into[node] = sum(into[edge[0]] for edge, on in zip(edges, live, strict=True) if on and edge[1] == node)
    out: dict[int, int] = defaultdict(int)
    for node in sorted(into, reverse=True):
        is_output = node in ends if output == "concat" else node == max(ends)
        out[node] = int(is_output) + sum(
            out[edge[1]] for edge, on in zip(edges, live, strict=True) if on and edge[0] == node
        )
    return [into[source] * out[node] if on else 0 for (source, node), on in zip(edges, live, strict=True)]


def operation_scores(space: SearchSpace, architectures: Sequence[Architecture], angles: Tensor) -> dict[str, Tensor]:
    """The mean angle of the architectures that have an operation ``(edges, operations)``, NaN where there is none."""
    scores = {}
    for cell in space.edges:
        has = torch.stack([one.one_hot(space.operations, torch.float64)[cell] for one in architectures])
        scores[cell] = (has * angles[:, None, None]).sum(dim=0) / has.sum(dim=0)
    return scores


def _products(before: Cell, after: Cell, group: Group) -> Tensor:
    """Of one operation of a cell on several edges ``(3, edges)``."""
    first, last = (_vectors(cell.operations[group.key], len(group.edges)) for cell in (before, after))
    found = torch.stack([(first * last).sum(dim=1), first.square().sum(dim=1), last.square().sum(dim=1)])
    if "pool" in group.operation:  # C k^2 weights of 1 / k^2
        found += before.channels[group.source] / float(group.operation[-1]) ** 2
    return found


def _vectors(operation: nn.Module, copies: int) -> Tensor:
    """The weights of each copy ``(copies, weights)`` in float64, on the processor."""
    parts = [weight.detach().cpu().double().unflatten(0, (copies, -1)).flatten(1) for weight in operation.parameters()]
    return torch.cat([torch.zeros(copies, 0, dtype=torch.float64), *parts], dim=1)
