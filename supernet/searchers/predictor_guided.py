"""Search guided by a predictor: score a few, fit, score those that are predicted best, fit again.

Wen, Liu, Chen, Li, Bender and Kindermans, "Neural Predictor for Neural Architecture Search", 2020, arXiv:1912.00848,
score a random sample and what is predicted best of many; White, Neiswanger and Savani, "BANANAS: Bayesian Optimization
with Neural Architectures for Neural Architecture Search", 2021, arXiv:1910.11858, repeat it and look among the
neighbours of the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Generator

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.searchers.history import Accept, History, Score, at_least, comparable

Fit = Callable[[Sequence[Architecture], Sequence[float]], Score]
"""From architectures and their scores to what predicts the scores of others, or how promising they are."""
Prefer = Callable[[Sequence[Architecture], Sequence[float]], Sequence[float]]
"""From architectures and their scores, some of them predicted, to what is to be large: see `predictor_guided`."""


def predictor_guided(
    space: SearchSpace,
    score: Score,
    generator: Generator,
    fit: Fit,
    *,
    budget: int = 150,
    initial: int = 20,
    top: int = 10,
    candidates: int = 1000,
    parents: int = 10,
    accept: Accept | None = None,
    rescore: Score | None = None,
    prefer: Prefer | None = None,
) -> History:
    """Score ``initial`` random architectures; then, again and again, those of the candidates that promise most.

    Candidates are random architectures and all neighbours of the best so far, none of which was scored. What has no
    finite score is not fitted on. It ends early where no candidate is left.

    Args:
        space: what the architectures belong to, its pool respected.
        score: called with the first sample, then with the chosen candidates.
        generator: source of all random choices.
        fit: called before each choice.
        budget: how many architectures are scored.
        initial: how many at random.
        top: how many are scored between two fits.
        candidates: how many random ones are predicted each time.
        parents: how many of the best have their neighbours predicted too.
        accept: see `History`, as the next one.
        rescore: see there.
        prefer: called with everything that is scored, and then with the candidates and their predicted scores next to
            it, where more than the score counts; None for the score alone.

    Raises ValueError for settings that make no sense, and `UserError` where no architecture is acceptable.
    """
    at_least(2, initial=initial)
    at_least(1, top=top)
    at_least(0, candidates=candidates, parents=parents)
    if not candidates + parents:
        raise ValueError("candidates and parents are 0: there is nothing to choose from")
    history = History(space, score, budget, accept, rescore)
    history.begin(initial, generator)
    while history.left:
        known, scores = list(history.scores), list(history.scores.values())
        best = _order(known, scores if prefer is None else prefer(known, scores))[:parents]
        near = (other for one in best for other in history.neighbours(one, generator))
        drawn = history.draw(candidates, generator) if candidates else []
        new = list(dict.fromkeys([*drawn, *(one for one in near if one not in history.scores)]))
        if not new:
            break
        finite = [pair for pair in history.pairs if math.isfinite(pair[1])]
        if len(finite) > 1:
            promise = list(fit([one for one, _ in finite], [value for _, value in finite])(new))
            if prefer is not None:
                promise = list(prefer([*known, *new], [*scores, *promise]))[len(known) :]
            new = _order(new, promise)
        history.add(new[:top])
    return history


def _order(architectures: Sequence[Architecture], worths: Sequence[float]) -> list[Architecture]:
    """The architectures, the most worthy first, of equals the one that comes first."""
    order = sorted(range(len(architectures)), key=lambda index: -comparable(float(worths[index])))
    return [architectures[index] for index in order]
