"""Evolutionary search: whatever scores best so far has mutants and crossovers for children.

Guo, Zhang, Mu, Heng, Liu, Wei and Sun, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (SPOS),
2020, arXiv:1904.00420, algorithm 1 and its code. Nothing here knows where scores come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.space import SearchSpace
from supernet.errors import UserError
from supernet.searchers.history import Accept, Score, comparable

ATTEMPTS, RANDOM_ATTEMPTS = 10, 100
"""How many mutants or crossovers (as in SPOS's code), and random architectures, are drawn for each one wanted."""


@dataclass(frozen=True)
class Evolution:
    """All that was scored, generation after generation."""

    generations: tuple[tuple[tuple[Architecture, float], ...], ...]

    def fittest(self, count: int) -> list[tuple[Architecture, float]]:
        """The best architectures of all generations with their scores, the best first, of equals the older one."""
        scored = [pair for generation in self.generations for pair in generation]
        return sorted(scored, key=lambda pair: -comparable(pair[1]))[:count]

    @property
    def best(self) -> Architecture:
        """The architecture with the best score."""
        return self.fittest(1)[0][0]

    def rescored(self, score: Score) -> Evolution:
        """The same architectures with the scores that they get together."""
        scores = iter(score([architecture for generation in self.generations for architecture, _ in generation]))
        return Evolution(
            tuple(tuple((one, float(next(scores))) for one, _ in generation) for generation in self.generations)
        )


def evolve(
    space: SearchSpace,
    score: Score,
    generator: Generator,
    *,
    population: int = 50,
    generations: int = 20,
    survivors: int = 10,
    mutation: float = 0.1,
    accept: Accept | None = None,
    rescore: Score | None = None,
) -> Evolution:
    """Score ``generations`` times ``population`` architectures, none of them twice.

    The first generation is drawn at random. Of each later one half are mutants of the ``survivors``, the best
    architectures of all generations so far, and half are crossovers of two of them; where too few of either are new,
    random architectures take their place. It ends early where nothing new is found.

    Args:
        space: what the architectures belong to, its pool respected.
        score: called once a generation.
        generator: source of all random choices.
        population: architectures in a generation.
        generations: how many of them.
        survivors: how many architectures may have children.
        mutation: the probability that an edge of a mutant changes.
        accept: which architectures may be scored (a constraint); those that are not valid are never.
        rescore: scores all architectures so far anew after each generation, where a score is one among all of them,
            such as a rank; None keeps the scores that they got at first.

    Raises ValueError for settings that make no sense, and `UserError` where no architecture is acceptable.
    """
    check(population, generations, survivors, mutation)
    seen: set[Architecture] = set()

    def fresh(count: int, attempts: int, draw: Callable[[], Architecture]) -> list[Architecture]:
        found: list[Architecture] = []
        for _ in range(attempts * count):
            if len(found) == count:
                break
            child = draw()
            acceptable = space.contains(child) and space.is_valid(child) and (accept is None or accept(child))
            if acceptable and child not in seen:
                seen.add(child)
                found.append(child)
        return found

    def children(parents: Sequence[Architecture]) -> list[Architecture]:
        def pick() -> Architecture:
            return parents[int(torch.randint(len(parents), (), generator=generator))]

        born: list[Architecture] = []
        if parents:
            born += fresh(population // 2, ATTEMPTS, lambda: mutate(space, pick(), mutation, generator))
            born += fresh(population // 2, ATTEMPTS, lambda: space.crossover(pick(), pick(), generator))
        return born + fresh(population - len(born), RANDOM_ATTEMPTS, lambda: space.sample(1, generator)[0])

    past = Evolution(())
    for _ in range(generations):
        candidates = children([architecture for architecture, _ in past.fittest(survivors)])
        if not candidates:
            break
        scores = [float(value) for value in score(candidates)]
        past = Evolution((*past.generations, tuple(zip(candidates, scores, strict=True))))
        past = past if rescore is None else past.rescored(rescore)
    if not past.generations:
        raise UserError(f"none of {RANDOM_ATTEMPTS * population} random architectures of {space.name} is acceptable")
    return past


def check(population: int, generations: int, survivors: int, mutation: float) -> None:
    """Raise ValueError for settings of `evolve` that make no sense."""
    for name, value in (("population", population), ("generations", generations), ("survivors", survivors)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value}: it must be a whole number, at least 1")
    if not 0 < mutation <= 1:
        raise ValueError(f"mutation is {mutation}: it must be above 0 and at most 1")


def mutate(space: SearchSpace, parent: Architecture, probability: float, generator: Generator) -> Architecture:
    """A copy in which each edge changes with this probability; it may be the parent itself.

    An edge that changes gets another operation or, where nodes keep some of their inputs, moves to another input. (SPOS
    draws from all operations, the present one included, which is a slightly smaller probability.)
    """
    child = parent
    for cell, row in parent.choices:
        changes = torch.rand(len(row), generator=generator) < probability
        for edge in changes.nonzero().flatten().tolist():
            if child[cell][edge] != DROPPED:
                near = [other for other in space.neighbours(child) if other[cell][edge] != child[cell][edge]]
                child = near[int(torch.randint(len(near), (), generator=generator))] if near else child
    return child
