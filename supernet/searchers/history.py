"""What a search has scored, and which architectures it may score next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Generator

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.errors import UserError

Score = Callable[[Sequence[Architecture]], Sequence[float]]
"""Scores architectures, all that are asked for at once; higher is better."""
Accept = Callable[[Architecture], bool]
"""Whether an architecture may be scored: a constraint."""

LISTED = 100_000
"""Of spaces up to this size whatever is left is listed when random draws find nothing new."""
ATTEMPTS = 100
"""How many random architectures are drawn for each one wanted."""


class History:
    """The scored architectures in their order, each once, and never more of them than the budget.

    An architecture may be scored if it is of the space and its pool, valid and accepted.

    Args:
        space: what the architectures belong to.
        score: called with architectures that were never scored before.
        budget: how many different ones may be scored.
        accept: a constraint; None for none.
        rescore: scores all architectures so far anew whenever there are more, where a score is one among all of them,
            such as a rank; None keeps the scores that they got at first.
    """

    def __init__(
        self,
        space: SearchSpace,
        score: Score,
        budget: int,
        accept: Accept | None = None,
        rescore: Score | None = None,
    ) -> None:
        at_least(1, budget=budget)
        self.space = space
        self.score = score
        self.budget = budget
        self.accept = accept
        self.rescore = rescore
        self.scores: dict[Architecture, float] = {}

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def left(self) -> int:
        """How many more may be scored."""
        return self.budget - len(self)

    @property
    def pairs(self) -> list[tuple[Architecture, float]]:
        """Architectures and scores, in the order in which they were scored."""
        return list(self.scores.items())

    def fittest(self, count: int) -> list[tuple[Architecture, float]]:
        """The best with their scores, the best first, of equals the older one; what is not a number comes last."""
        return sorted(self.pairs, key=lambda pair: -comparable(pair[1]))[:count]

    @property
    def best(self) -> Architecture:
        """The architecture with the best score."""
        return self.fittest(1)[0][0]

    def worth(self, architecture: Architecture) -> float:
        """The score of one that was scored, minus infinity where that is not a number."""
        return comparable(self.scores[architecture])

    def acceptable(self, architecture: Architecture) -> bool:
        """Whether it may be scored, or was."""
        if architecture in self.scores:
            return True
        known = self.space.contains(architecture) and self.space.is_valid(architecture)
        return known and (self.accept is None or self.accept(architecture))

    def add(self, architectures: Iterable[Architecture]) -> None:
        """Score what is new among them, as far as the budget reaches."""
        new = [one for one in dict.fromkeys(architectures) if one not in self.scores][: self.left]
        if new:
            self.scores |= zip(new, map(float, self.score(new)), strict=True)
            if self.rescore is not None:
                everything = list(self.scores)
                self.scores = dict(zip(everything, map(float, self.rescore(everything)), strict=True))

    def draw(self, count: int, generator: Generator) -> list[Architecture]:
        """So many different random architectures that may be scored and were not; fewer where no more are found."""
        found: dict[Architecture, None] = {}
        for _ in range(ATTEMPTS):
            for one in self.space.sample(count, generator):
                if len(found) < count and one not in self.scores and one not in found and self.acceptable(one):
                    found[one] = None
            if len(found) == count:
                return list(found)
        if self.space.size() <= LISTED:
            rest = [one for one in self.space.enumerate() if one not in self.scores and one not in found]
            order = torch.randperm(len(rest), generator=generator).tolist()
            fitting = (rest[index] for index in order if self.acceptable(rest[index]))
            found |= dict.fromkeys(one for one, _ in zip(fitting, range(count - len(found)), strict=False))
        return list(found)

    def begin(self, count: int, generator: Generator) -> list[Architecture]:
        """Score so many random architectures. Raises `UserError` where there is none."""
        first = self.draw(min(count, self.left), generator)
        if not first:
            raise UserError(f"no architecture of {self.space.name} was found that is valid and acceptable")
        self.add(first)
        return first

    def neighbours(self, architecture: Architecture, generator: Generator) -> Iterable[Architecture]:
        """Those that may be scored or were, in random order."""
        near = self.space.neighbours(architecture)
        order = torch.randperm(len(near), generator=generator).tolist()
        return (near[index] for index in order if self.acceptable(near[index]))


def comparable(score: float) -> float:
    """The score, minus infinity where it is not a number."""
    return -math.inf if math.isnan(score) else score


def at_least(least: int, **values: int) -> None:
    """Raise ValueError unless each value is a whole number and at least so large."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} is {value}: it must be a whole number, at least {least}")
