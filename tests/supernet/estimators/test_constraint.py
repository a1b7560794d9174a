import functools
import itertools
import math

import pytest

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import CELL, NASBench201
from search_spaces.network import multiply_adds, parameters
from supernet.errors import UserError
from supernet.estimators.base import Measured
from supernet.estimators.constraint import Constraint, single
from supernet.estimators.cost import Cost
from tests.supernet.estimators.tasks import task

SPACE = NASBench201(channels=4, cells_per_stage=1)
PARAMETERS, MULTIPLY_ADDS = (functools.partial(Cost, unit=unit) for unit in ("parameters", "multiply_adds"))


def constraint(space=SPACE, cost=PARAMETERS, **bounds) -> Constraint:
    return Constraint(task(space), cost, **bounds)


ANY = constraint(most=1e12)


def some(space=SPACE, count=8):
    return list(itertools.islice(filter(space.is_valid, space.enumerate()), 3000, 3000 + 300 * count, 300))


def test_what_whole_networks_cost_lies_between_the_bounds():
    counted = {one: parameters(SPACE.network(one)) for one in some()}
    middle = sorted(counted.values())[4]
    most, least, both = constraint(most=middle), constraint(least=middle), constraint(most=middle, least=middle)
    assert set(filter(most, counted)) == {one for one, count in counted.items() if count <= middle}
    assert set(filter(least, counted)) == {one for one, count in counted.items() if count >= middle}
    assert set(filter(both, counted)) == {one for one, count in counted.items() if count == middle}


def test_another_network_and_larger_images_may_be_meant():
    wide = functools.partial(Cost, unit="multiply_adds", network={"channels": 16, "cells_per_stage": 5}, size=32)
    (one,) = some(count=1)
    assert constraint(cost=wide, most=1).of(one) == multiply_adds(NASBench201().network(one), (3, 32, 32))


def test_a_bound_that_nothing_meets_is_refused_with_what_there_is():
    least = min(parameters(SPACE.network(one)) for one in (some()[0], SPACE.parse(
        "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")))  # fmt: skip
    with pytest.raises(UserError, match=f"constraint.most={least - 1:,}: no architecture .* from {least:,} to"):
        constraint(most=least - 1).check()
    constraint(most=least).check()
    with pytest.raises(UserError, match=r"constraint.least=1e\+15|constraint.least=1,000"):
        constraint(least=1e15).check()


def test_a_gap_between_two_costs_is_refused_in_a_space_that_can_be_listed():
    costs = sorted({ANY.of(one) for one in SPACE.enumerate()})
    low = next(a for a, b in itertools.pairwise(costs) if b - a > 2)
    constraint(least=low, most=low + 1).check()
    with pytest.raises(UserError, match="no architecture"):
        constraint(least=low + 1, most=low + 1.5).check()


def test_a_pool_is_what_must_satisfy_it():
    pool = some(count=3)
    costs = [ANY.of(one) for one in pool]
    restricted = SPACE.restrict(pool=pool)
    constraint(restricted, most=min(costs)).check()
    with pytest.raises(UserError, match="no architecture"):
        constraint(restricted, most=min(costs) - 1).check()


def test_a_large_space_is_judged_by_its_cheapest_and_dearest():
    large = DARTS(channels=4, layers=3)
    constraint(large, MULTIPLY_ADDS, most=1e9).check()
    with pytest.raises(UserError, match="no architecture"):
        constraint(large, MULTIPLY_ADDS, most=1).check()


class Skips(Measured):
    def __init__(self, task) -> None:
        pass

    def measurements(self, architecture) -> tuple[float, ...]:
        return (float(architecture[CELL].count(1)),)


class Two(Skips):
    names = ("a", "b")


def test_any_measured_number_will_do():
    fits = constraint(cost=Skips, most=0)
    fits.check()
    assert {one[CELL].count(1) for one in some() if fits(one)} <= {0}
    with pytest.raises(UserError, match="no architecture"):
        constraint(cost=Skips, least=7).check()
    with pytest.raises(ValueError, match="Two is no cost"):
        single(Two, task(SPACE))


def test_bounds_without_sense_are_refused():
    with pytest.raises(UserError, match=r"constraint.most is needed"):
        constraint()
    with pytest.raises(UserError, match=r"constraint.least=2 is above constraint.most=1"):
        constraint(least=2, most=1)
    assert constraint(most=1).least == -math.inf
