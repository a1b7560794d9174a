"""Architectures that a benchmark's authors take for one: one of each class is scored, and compared with its mean.

So Ning, Tang, Li, Zhou, Liang, Yang and Wang, "Evaluating Efficient Performance Estimators of Neural Architectures",
2021, arXiv:2008.03064, evaluate estimators on NAS-Bench-201.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.benchmarks.base import Record
from supernet.errors import UserError


def classifier(space: SearchSpace) -> Callable[[Architecture], str]:
    """What gives the architectures of a class the same text. Raises `UserError` where the space has no such classes."""
    found: Callable[[Architecture], str] | None = getattr(space, "published_class", None)
    if found is None:
        raise UserError(f"filter=unique: {space.name} has no published classes of architectures; use filter=valid")
    return found


def first_of_each(space: SearchSpace) -> Callable[[Architecture], bool]:
    """Lets of each class that architecture pass which comes first, and no other. Raises `UserError` as `classifier`."""
    classify, chosen = classifier(space), dict[str, Architecture]()
    return lambda architecture: chosen.setdefault(classify(architecture), architecture) == architecture


def class_means(
    space: SearchSpace, architectures: Sequence[Architecture], known: Mapping[Architecture, Record]
) -> list[Record]:
    """For each architecture the mean of what is known of all architectures of its class."""
    classify, members = classifier(space), defaultdict[str, list[Record]](list)
    for one, record in known.items():
        members[classify(one)].append(record)
    classes = [members[classify(one)] for one in architectures]
    return [replace(some[0], accuracy=statistics.fmean(record.accuracy for record in some)) for some in classes]
