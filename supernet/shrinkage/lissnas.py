"""LISSNAS: near the best architectures of a sample are other good ones.

Gopal, Sridhar, Zhang and Chen, "LISSNAS: Locality-based Iterative Search Space Shrinkage for Neural Architecture
Search", 2023, arXiv:2307.03110: a sample is scored, its best are seeds, good neighbours of the seeds are kept with
them, and so on until the mean score of a sample no longer rises. Everything that is finer than this outline is ours:
the rules below, their parameters and their defaults.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.evaluation.choosing import LISTED
from supernet.shrinkage.base import Round, Shrinkage, Shrunk, kept, ordered, share, whole
from supernet.shrinkage.diversity import Spread, mean_distance
from supernet.shrinkage.drawn import Accept, acceptable, chosen, drawn
from supernet.shrinkage.locality import choices, correlogram, radius
from supernet.shrinkage.scorer import Scorer
from supernet.warm_start.alphas import check_kappa
from supernet.warm_start.scoring import check_workers


class LISSNAS(Shrinkage):
    """Keeps, round by round, the best of a sample and those of their neighbours that are as good.

    With S all acceptable architectures at first, a round

    1. draws ``n_archs`` of S, and ends everything where their mean score has not risen by ``rise`` deviations of the
       first sample's scores;
    2. takes the best ``seed_share`` of them for seeds, and what ``radius`` edits lead to from these in the whole space;
    3. makes the seeds the next S, with every neighbour that scores at least the ``quantile`` of the seeds.

    A round that would leave fewer than ``smallest``, or of which two differ on fewer edges, on average, than
    ``diversity`` times as many as in the whole space (with a constraint: as in the first sample), is the last. It is
    filled up with the best-scored of those it would drop, one after another, until there are ``smallest`` and they are
    diverse enough, if they can be: selection always raises a mean score, so that without this end few architectures
    would be left.

    Every architecture is scored once, and only if it is acceptable: valid, and within the constraint.

    Args:
        estimator: what scores architectures.
        folder: of the run, where scores are written as they come; None for nowhere.
        n_archs: how many are drawn in a round.
        seed_share: of them are seeds.
        quantile: of the seeds' scores, which a neighbour must reach.
        radius: edits; None for as many as the first sample's scores are alike at (see `locality.radius`).
        neighbours: the most of each seed that are scored, drawn at random; None for all.
        rise: see above.
        smallest: see above.
        diversity: see above.
        rounds: the most.
        constraint: on what is looked at; None for none.
        channels: of the networks that are looked at, which are as short as the space allows; None for the space's own.
        workers: the most processes; None for all cores.
        kappa: how far the alphas start from the uniform mixture towards what the pool has; 0 for the usual start.
            Without effect where no alphas are learnt.
    """

    def __init__(
        self,
        estimator: EstimatorFactory,
        folder: str | Path | None = None,
        n_archs: int = 1000,
        seed_share: float = 0.1,
        quantile: float = 0.25,
        radius: int | None = 1,
        neighbours: int | None = None,
        rise: float = 0.01,
        smallest: int = 500,
        diversity: float = 0.6,
        rounds: int = 10,
        constraint: ConstraintFactory | None = None,
        channels: int | None = None,
        workers: int | None = None,
        kappa: float = 0.5,
    ) -> None:
        check_workers(workers)
        check_kappa(kappa)
        whole(n_archs=n_archs, smallest=smallest, rounds=rounds)
        whole(**{name: value for name, value in (("radius", radius), ("neighbours", neighbours)) if value is not None})
        share(seed_share=seed_share)
        if not 0 <= quantile <= 1:
            raise ValueError(f"quantile is {quantile}: it must be at least 0 and at most 1")
        if not 0 <= diversity < 1:
            raise ValueError(f"diversity is {diversity}: it must be at least 0 and less than 1")
        if not isinstance(rise, int | float) or isinstance(rise, bool) or not 0 <= rise < math.inf:
            raise ValueError(f"rise is {rise}: it must be a number, at least 0")
        if n_archs < 2:
            raise ValueError(f"n_archs is {n_archs}: one architecture says nothing about others; draw at least 2")
        self.estimator = estimator
        self.folder = None if folder is None else Path(folder)
        self.n_archs = n_archs
        self.seed_share = seed_share
        self.quantile = quantile
        self.radius = radius
        self.neighbours = neighbours
        self.rise = rise
        self.smallest = smallest
        self.diversity = diversity
        self.rounds = rounds
        self.constraint = constraint
        self.channels = channels
        self.workers = workers
        self.kappa = kappa

    def check(self, task: Task) -> None:
        """See `Shrinkage.check`."""
        accepting(self.constraint, task)
        Scorer(self.estimator, task, self.channels, self.workers)

    def look(self, task: Task) -> Shrunk:
        """See `Shrinkage.look`."""
        space, accept = task.space, functools.cache(acceptable(task, self.constraint))
        generator = torch.Generator().manual_seed(seeds.derive(task.seed, seeds.SHRINKAGE))
        scorer = Scorer(self.estimator, task, self.channels, self.workers, self.folder)
        sample = drawn(space, self.n_archs, accept, generator)
        # What satisfies a constraint may be more alike than the whole space is.
        fewest_edges = self.diversity * (Spread(choices(sample)).distance if self.constraint else mean_distance(space))
        scorer.ask(sample, "shrinkage, round 1")
        values = self._finite(scorer, sample)
        locality = correlogram(sample, values)
        reach = self.radius or radius(locality)
        finite = values[values.isfinite()]
        rise = self.rise * float(finite.std()) if len(finite) > 1 else 0.0
        rounds = [_round(space.size(), mean_distance(space), values, scorer.queries)]
        left: list[Architecture] = sample  # after the first round all that is left; before it, what is known of it
        while True:
            smaller, others = self._step(space, accept, generator, scorer, sample, left, reach)
            spread = Spread(choices(smaller))
            if len(smaller) < self.smallest or spread.distance < fewest_edges:
                left = self._filled(smaller, others, spread, scorer, fewest_edges)
                break
            if len(rounds) == self.rounds:
                left = smaller
                break
            before = sample
            sample = chosen(smaller, self.n_archs, generator)
            values = self._finite(scorer, sample)
            if float(_mean(values)) <= float(_mean(scorer.scores(before))) + rise:
                if len(rounds) == 1:
                    whole = Shrunk(space, effort=scorer.effort, rounds=tuple(rounds), locality=locality)
                    return self._whole(space, accept, whole)
                break
            rounds.append(_round(len(smaller), spread.distance, values, scorer.queries))
            left = smaller
        values = scorer.scores(left)
        order = ordered(values)
        pool = [left[index] for index in order.tolist()]
        return kept(space, pool, self.kappa, values[order], scorer.effort, rounds, locality)

    def _step(
        self,
        space: SearchSpace,
        accept: Accept,
        generator: Generator,
        scorer: Scorer,
        sample: Sequence[Architecture],
        left: Sequence[Architecture],
        reach: int,
    ) -> tuple[list[Architecture], list[Architecture]]:
        """What one round leaves, and what else is scored that it could have left."""
        scores = scorer.scores(sample)
        best = [sample[index] for index in ordered(scores).tolist() if math.isfinite(scores[index])]
        parents = best[: max(1, round(self.seed_share * len(sample)))]
        near: dict[Architecture, None] = {}
        for parent in parents:
            found = [one for one in within(space, parent, reach) if accept(one)]
            near |= dict.fromkeys(found if self.neighbours is None else chosen(found, self.neighbours, generator))
        candidates = list(near)
        scorer.ask(candidates, "shrinkage, neighbours")
        known = self._finite(scorer, parents)
        least = torch.quantile(known[known.isfinite()], self.quantile)
        good = [one for one, value in zip(candidates, scorer.scores(candidates), strict=True) if value >= least]
        smaller = dict.fromkeys([*parents, *good])
        return list(smaller), [one for one in dict.fromkeys([*left, *candidates]) if one not in smaller]

    def _filled(
        self,
        smaller: Sequence[Architecture],
        others: Sequence[Architecture],
        spread: Spread,
        scorer: Scorer,
        fewest_edges: float,
    ) -> list[Architecture]:
        """The last round's architectures and as many of the others as the pool needs, the best first.

        Where all of them would not be diverse enough, it is only as large as it has to be.
        """
        pool, rows = list(smaller), choices(others) if others else torch.zeros(0, 0)
        scores = scorer.scores(others)
        for index in ordered(scores).tolist():
            if spread.size >= self.smallest and spread.distance >= fewest_edges:
                return pool
            if not math.isfinite(scores[index]):
                break
            pool.append(others[index])
            spread.add(rows[index])
        return pool if spread.distance >= fewest_edges else pool[: max(self.smallest, len(smaller))]

    def _whole(self, space: SearchSpace, accept: Accept, found: Shrunk) -> Shrunk:
        """What is left where scores say nothing: the whole space, or all that satisfies the constraint."""
        if not self.constraint:
            return found
        if space.size() > LISTED:
            raise ValueError(
                "the scores of the neighbours are no better than those of the sample, and all architectures that "
                "satisfy the constraint are too many to be listed; use another estimator, or no constraint"
            )
        acceptable_ones = [one for one in space.enumerate() if accept(one)]
        return kept(space, acceptable_ones, 0.0, None, found.effort, found.rounds, found.locality)

    def _finite(self, scorer: Scorer, architectures: Sequence[Architecture]) -> Tensor:
        """The scores. Raises ValueError unless some of them say something."""
        values = scorer.scores(architectures)
        if not bool(values.isfinite().any()):
            raise ValueError("not one of the architectures that were drawn has a finite score; use another estimator")
        return values


def within(space: SearchSpace, architecture: Architecture, distance: int) -> list[Architecture]:
    """The architectures of a space that so many edits or fewer lead to, without the one they start from."""
    found, front = {architecture: None}, [architecture]
    for _ in range(distance):
        front = [one for one in dict.fromkeys(itertools.chain(*map(space.neighbours, front))) if one not in found]
        found |= dict.fromkeys(front)
    return list(found)[1:]


def _mean(values: Tensor) -> Tensor:
    return values[values.isfinite()].mean()


def _round(size: int, distance: float, values: Tensor, queries: int) -> Round:
    return Round(size, float(_mean(values)), float(values.max()), distance, queries)
