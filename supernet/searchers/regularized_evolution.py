"""Regularised evolution: the oldest of the population dies, not the worst.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search", 2019, arXiv:1802.01548,
algorithm 1.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Generator

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.searchers.history import Accept, History, Score, at_least

STALE = 20
"""After so many cycles for each member of the population without a new architecture, a random one is born."""


def regularized_evolution(
    space: SearchSpace,
    score: Score,
    generator: Generator,
    *,
    budget: int = 20_000,
    population: int = 100,
    tournament: int = 25,
    accept: Accept | None = None,
    rescore: Score | None = None,
) -> History:
    """Begin with a random population; then, again and again, the best of a random sample has a mutant, the oldest dies.

    A mutant is a random neighbour. One that was scored before lives again, as in the paper, but with the score that it
    has, and does not count: the budget is that of different architectures. Where the population keeps to what is known,
    a random new architecture joins it, and where there is none, the search ends.

    Args:
        space: what the architectures belong to, its pool respected.
        score: called with the first population, then with one at a time.
        generator: source of all random choices.
        budget: how many architectures are scored (C).
        population: how many live at a time (P).
        tournament: how many are drawn, with replacement, to find a parent (S).
        accept: see `History`, as the next one.
        rescore: see there.

    Raises ValueError for settings that make no sense, and `UserError` where no architecture is acceptable.
    """
    at_least(1, population=population, tournament=tournament)
    history = History(space, score, budget, accept, rescore)
    alive = deque(history.begin(population, generator))
    stale = 0
    while history.left:
        child = None if stale >= STALE * population else _child(history, alive, tournament, generator)
        if child is None:
            (child,) = history.draw(1, generator) or (None,)
            if child is None:
                break
        stale = stale + 1 if child in history.scores else 0
        history.add([child])
        alive.append(child)
        if len(alive) > population:
            alive.popleft()
    return history


def _child(history: History, alive: deque[Architecture], tournament: int, generator: Generator) -> Architecture | None:
    """A mutant of the best of a random sample; None where that has no neighbour."""
    drawn = torch.randint(len(alive), (tournament,), generator=generator).tolist()
    parent = max((alive[index] for index in drawn), key=history.worth)
    return next(iter(history.neighbours(parent, generator)), None)
