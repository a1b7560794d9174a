"""Two objectives: which architectures no other one beats in both, and an order among all of them.

Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002, sections III.A
and III.B: non-dominated sorting and crowding distance. Fronts of two objectives are found in one pass over the points
in the order of the first, each of which is compared with the last points of the fronts by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
"""Two objectives; both should be large."""


def dominates(one: Point, other: Point) -> bool:
    """Whether a point is at least as good in both objectives, and better in one."""
    return one[0] >= other[0] and one[1] >= other[1] and one != other


def fronts(points: Sequence[Point]) -> list[int]:
    """For each point the number of its front: 0 where no other point dominates it, 1 where only those of front 0 do.

    Equal points are in the same front. What is not a number counts as minus infinity.
    """
    points = [_comparable(point) for point in points]
    found = [0] * len(points)
    last: list[Point] = []  # of each front; whatever comes next has no larger first objective than these
    for index in sorted(range(len(points)), key=lambda index: points[index], reverse=True):
        point = points[index]
        low, high = 0, len(last)
        while low < high:
            middle = (low + high) // 2
            if dominates(last[middle], point):
                low = middle + 1
            else:
                high = middle
        last[low : low + 1] = [point]
        found[index] = low
    return found


def front(points: Sequence[Point]) -> list[int]:
    """The indices of the points that no other one dominates, those with the larger second objective first."""
    best = [index for index, number in enumerate(fronts(points)) if number == 0]
    return sorted(best, key=lambda index: (-points[index][1], index))


def crowding(points: Sequence[Point]) -> list[float]:
    """The crowding distance of each point among these, those of one front.

    It is the sum over the objectives of the distance between the two points next to it, as a share of the whole range;
    infinite for those at the ends.
    """
    distances = [0.0] * len(points)
    for objective in (0, 1):
        values = [_comparable(point)[objective] for point in points]
        order = sorted(range(len(points)), key=lambda index: values[index])
        least, most = values[order[0]], values[order[-1]]
        distances[order[0]] = distances[order[-1]] = math.inf
        spread = most - least
        if not (math.isfinite(spread) and spread > 0):
            continue
        for before, index, after in zip(order, order[1:], order[2:], strict=False):
            distances[index] += (values[after] - values[before]) / spread
    return distances


def fitness(points: Sequence[Point]) -> list[float]:
    """One number for each point, in the order of NSGA-II: an earlier front first, within a front the less crowded.

    It is minus the number of the front, plus up to one half by the crowding distance.
    """
    numbers = fronts(points)
    members: dict[int, list[int]] = {}
    for index, number in enumerate(numbers):
        members.setdefault(number, []).append(index)
    found = [0.0] * len(points)
    for number, indices in members.items():
        for index, distance in zip(indices, crowding([points[index] for index in indices]), strict=True):
            found[index] = -number + (0.5 if math.isinf(distance) else 0.5 * distance / (1 + distance))
    return found


def _comparable(point: Point) -> Point:
    first, second = (-math.inf if math.isnan(value) else value for value in point)
    return first, second
