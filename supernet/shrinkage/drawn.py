"""Random samples of a space's acceptable architectures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Generator

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.estimators.base import Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.evaluation.choosing import LISTED

Accept = Callable[[Architecture], bool]
DRAWS = 50
"""In a space that is too large to be listed so many draws are made for each architecture wanted."""


def acceptable(task: Task, constraint: ConstraintFactory | None = None) -> Accept:
    """Whether an architecture belongs to the space, its output depends on its input and it satisfies the constraint.

    Raises `UserError` where nothing satisfies it.
    """
    space, satisfies = task.space, accepting(constraint, task) or (lambda _: True)
    return lambda one: space.is_valid(one) and satisfies(one) and space.contains(one)


def drawn(space: SearchSpace, count: int, accept: Accept, generator: Generator) -> list[Architecture]:
    """So many different acceptable architectures, or as many as there are, every set of them equally likely.

    Raises ValueError where none is found.
    """
    if space.size() <= LISTED:
        every = list(space.enumerate())
        found = list(itertools.islice(filter(accept, chosen(every, len(every), generator)), count))
    else:
        several: dict[Architecture, None] = {}
        for _ in range(DRAWS):
            several |= dict.fromkeys(one for one in space.sample(count, generator) if accept(one))
            if len(several) >= count:
                break
        found = list(several)[:count]
    if not found:
        raise ValueError(f"no acceptable architecture of {space.name} was found; is the constraint too narrow?")
    return found


def chosen(architectures: Sequence[Architecture], count: int, generator: Generator) -> list[Architecture]:
    """So many of these, or all, each equally likely, in random order."""
    order = torch.randperm(len(architectures), generator=generator)[:count]
    return [architectures[index] for index in order.tolist()]
