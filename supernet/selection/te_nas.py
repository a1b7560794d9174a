"""TE-NAS: the untrained supernet is pruned to the architecture that trains well and divides its inputs finely.

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective",
2021, arXiv:2102.11535, section 3.2, and its code.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from search_spaces.architecture import Allowed
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.data.images import Images
from supernet.errors import SettingsError
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.supernets import uniform
from supernet.evaluation.progress import watched
from supernet.modules.search import SearchModule
from supernet.samples import Samples
from supernet.selection.base import SCORES, Selected, Selection, at_least, prepare, task_of
from supernet.selection.journal import Journal, Values
from supernet.selection.pruning import Removal, prune, without
from supernet.selection.zero_pt import supernet_score

DIGITS = 3  # to which relative changes are rounded (the published code), so that small ones are equal
LARGEST = 1e6  # relative change, where a score was zero or infinite


class PruningSelection(Selection):
    """Prunes as `prune` does; a removal gains what it changes the scores of the untrained supernet by.

    The gain of a removal is the relative change of a score, rounded to three decimals, and the mean of that over some
    initialisations, in each of which the supernet has the same weights and images before and after. Operations that are
    left have equal shares of the mixture; others are not computed. All removals of a round are judged by the same
    initialisations; the published code draws new ones for each.

    Two more differences on DARTS's space: the published code goes on comparing with the supernet from before the last
    phase while that drops edges, and its networks have a reduction cell less.

    Args:
        folder: of the run; ``scores.csv`` has every score, and a resumed search measures none of them again.
        estimators: training-free scores by name, the more important first.
        number: how many operations an edge loses in a round.
        repeats: how many initialisations, which take the place of the estimators' own.
    """

    respects_pool = True
    needs_training = False

    def __init__(
        self, folder: str | Path, estimators: Mapping[str, EstimatorFactory], number: int = 1, repeats: int = 3
    ) -> None:
        at_least(1, number=number, repeats=repeats)
        if not estimators:
            raise ValueError("there are no estimators to prune by")
        self.folder = Path(folder)
        self.estimators = dict(estimators)
        self.number = number
        self.repeats = repeats
        self.measures = tuple(f"selection/{name}" for name in self.estimators)

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self._proxies(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        prepare(module, images)
        task = task_of(module, images)
        space = task.space
        journal = Journal(self.folder / SCORES, ("left", "cell", "edge", "without", "repeat"), tuple(self.estimators))

        @functools.lru_cache(maxsize=self.repeats)
        def proxies(left: int, repeat: int) -> list[Proxy]:
            return self._proxies(reseeded(task, left, repeat))

        def scores(left: Allowed, removal: Removal | None, repeat: int) -> Values:
            count = sum(int(table.sum()) for table in left.values())
            weights = uniform(left if removal is None else without(left, removal))
            key = (count, *_names(space, removal), repeat)
            return journal(key, lambda: [supernet_score(proxy, weights) for proxy in proxies(count, repeat)])

        def gains(left: Allowed, removal: Removal) -> list[float]:
            rows = [
                [relative_gain(*pair) for pair in zip(scores(left, None, n), scores(left, removal, n), strict=True)]
                for n in range(self.repeats)
            ]
            return [sum(column) / self.repeats for column in zip(*rows, strict=True)]

        watch = functools.partial(watched, title="pruning")
        found = prune(space, gains, self.number, watch)
        last = found.allowed(space.operations)
        final = torch.tensor([scores(last, None, repeat) for repeat in range(self.repeats)], dtype=torch.float64)
        if not bool(final.isfinite().any()):
            raise SettingsError("what the pruning has left has no finite score; use other estimators")
        return Selected(found, dict(zip(self.measures, final.mean(dim=0).tolist(), strict=True)))

    def _proxies(self, task: Task) -> list[Proxy]:
        found = []
        for name, factory in self.estimators.items():
            estimator = factory(task)
            if not isinstance(estimator, Proxy):
                raise ValueError(f"{name} cannot look at a supernet; choose a training-free score")
            estimator.inits = 1
            found.append(estimator)
        return found


def relative_gain(before: float, after: float) -> float:
    """``(after - before) / |before|``, rounded."""
    if before == after:
        return 0.0
    change = (after - before) / abs(before) if before else torch.inf if after > before else -torch.inf
    bounded = change if change == change else torch.inf if after > before else -torch.inf  # or not a number
    return round(max(-LARGEST, min(LARGEST, bounded)), DIGITS)


def reseeded(task: Task, *purpose: int) -> Task:
    """The task with other weights, noise and images."""
    seed, old = seeds.derive(task.seed, seeds.SELECTION, *purpose), task.samples
    return replace(task, seed=seed, samples=Samples(old.labels, old.load, old.image, old.num_classes, seed))


def _names(space: SearchSpace, removal: Removal | None) -> tuple[str, str, str]:
    if removal is None:
        return "", "", "nothing"
    cell, edge, operation = removal
    source, node = space.edges[cell][edge]
    return cell, f"{source}->{node}", "everything" if operation is None else space.operations[cell][operation]
