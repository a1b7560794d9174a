"""Local search: move to the best neighbour until there is no better one, then begin elsewhere.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", 2021, arXiv:2005.02960.
"""

from __future__ import annotations

from torch import Generator

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.searchers.history import Accept, History, Score, at_least


def local_search(
    space: SearchSpace,
    score: Score,
    generator: Generator,
    *,
    budget: int = 300,
    starts: int = 1,
    step: int | None = None,
    accept: Accept | None = None,
    rescore: Score | None = None,
) -> History:
    """Climb from the best of some random architectures to a local optimum, as often as the budget allows.

    Neighbours that were scored before are looked at for nothing.

    Args:
        space: what the architectures belong to, its pool respected.
        score: called with the neighbours that are scored at once.
        generator: source of all random choices.
        budget: how many different architectures are scored.
        starts: how many random architectures are scored for each climb, which begins at the best of them.
        step: how many new neighbours are scored before the best of them is moved to, if it is better; None for all of
            them, 1 for the first improvement.
        accept: see `History`, as the next one.
        rescore: see there.

    Raises ValueError for settings that make no sense, and `UserError` where no architecture is acceptable.
    """
    at_least(1, starts=starts, **({} if step is None else {"step": step}))
    history = History(space, score, budget, accept, rescore)
    drawn = history.begin(starts, generator)
    while drawn:
        current = max(drawn, key=history.worth)
        while (better := _better(history, current, step, generator)) is not None:
            current = better
        drawn = history.draw(min(starts, history.left), generator) if history.left else []
        history.add(drawn)
    return history


def _better(history: History, current: Architecture, step: int | None, generator: Generator) -> Architecture | None:
    """The neighbour to move to; None at a local optimum, and where the budget does not show a better one."""
    near = list(history.neighbours(current, generator))
    steps = [near]
    if step is not None:
        new = [one for one in near if one not in history.scores]
        seen = [one for one in near if one in history.scores]
        steps = [seen, *(new[first : first + step] for first in range(0, len(new), step))]
    for few in steps:
        history.add(few)
        scored = [one for one in few if one in history.scores]
        best = max(scored, key=history.worth, default=current)
        if history.worth(best) > history.worth(current):
            return best
    return None
