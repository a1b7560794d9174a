import itertools
import math
import random

import pytest

from supernet.searchers.pareto import crowding, dominates, fitness, front, fronts

INF = math.inf


def brute_force(points) -> list[int]:
    """Fronts by their definition: take away what nothing left dominates, again and again."""
    found, left, number = [-1] * len(points), set(range(len(points))), 0
    while left:
        best = {
            i
            for i in left
            if not any(
                all(a >= b for a, b in zip(points[j], points[i], strict=True))
                and any(a > b for a, b in zip(points[j], points[i], strict=True))
                for j in left
            )
        }
        for i in best:
            found[i] = number
        left, number = left - best, number + 1
    return found


@pytest.mark.parametrize("values", [2, 5, 1000])  # many equal points, some, none
def test_fronts_are_those_of_the_definition(values):
    source = random.Random(values)
    for size in (0, 1, 2, 7, 60):
        for _ in range(30):
            points = [(float(source.randrange(values)), float(source.randrange(values))) for _ in range(size)]
            assert fronts(points) == brute_force(points)


def test_one_point_dominates_another_if_it_is_nowhere_worse_and_somewhere_better():
    assert dominates((1, 2), (1, 1))
    assert not dominates((1, 1), (1, 1))
    assert not dominates((2, 0), (1, 1))


def test_the_front_begins_at_the_largest_second_objective():
    points = [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (1.0, 2.0), (0.0, 0.0)]
    assert front(points) == [1, 2, 0]


def test_crowding_by_hand():
    # sorted by the first objective: (0, 10), (1, 6), (3, 5), (4, 0); ranges 4 and 10
    assert crowding([(3.0, 5.0), (0.0, 10.0), (4.0, 0.0), (1.0, 6.0)]) == pytest.approx(
        [(4 - 1) / 4 + (6 - 0) / 10, INF, INF, (3 - 0) / 4 + (10 - 5) / 10]
    )


def test_crowding_where_an_objective_says_nothing():
    assert crowding([(1.0, 1.0)]) == [INF]
    assert crowding([(1.0, 1.0)] * 4).count(0.0) == 2  # equal points in between
    assert crowding([(-INF, 0.0), (1.0, 1.0), (2.0, 2.0)])[1] == pytest.approx(2 / 2)


def test_fitness_is_the_order_of_nsga_2():
    """Front first, then the larger crowding distance; written as comparisons of every pair."""
    source = random.Random(0)
    points = [(source.random(), source.random()) for _ in range(50)]
    numbers, values = brute_force(points), fitness(points)
    distances = [0.0] * len(points)
    for number in set(numbers):
        members = [i for i in range(len(points)) if numbers[i] == number]
        for i, distance in zip(members, crowding([points[i] for i in members]), strict=True):
            distances[i] = distance
    for i, j in itertools.permutations(range(len(points)), 2):
        better = numbers[i] < numbers[j] or (numbers[i] == numbers[j] and distances[i] > distances[j])
        assert (values[i] > values[j]) == better


def test_what_is_not_a_number_is_behind_everything_else():
    assert fronts([(math.nan, 1.0), (0.0, 1.0)]) == [1, 0]
    assert all(map(math.isfinite, fitness([(math.nan, math.nan), (-INF, 1.0), (1.0, 0.0)])))
