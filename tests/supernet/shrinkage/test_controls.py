import pytest

from search_spaces.darts import DARTS
from supernet.shrinkage.controls import DeIsomorphic, Random
from tests.supernet.estimators.tasks import SMALL, task


def test_the_control_keeps_as_many_as_asked_at_random():
    pools = [Random(200)(task(seed=seed)).space.pool for seed in (0, 0, 1)]
    assert len(set(pools[0])) == 200
    assert pools[0] == pools[1] != pools[2]
    assert all(map(SMALL.is_valid, pools[0]))
    assert Random(20)(task(DARTS(channels=4, layers=3))).space.size() == 20


def test_one_architecture_of_each_function_stays():
    space = SMALL.restrict({"cell": SMALL.allowed["cell"] & False | (SMALL.allowed["cell"].cumsum(dim=1) <= 3)})
    pool = DeIsomorphic()(task(space)).space.pool
    classes = {space.canonical(one) for one in space.enumerate() if space.is_valid(one)}
    assert {space.canonical(one) for one in pool} == classes
    assert len(pool) == len(classes) < 3**6
    assert pool != DeIsomorphic()(task(space, seed=1)).space.pool  # another representative


def test_nas_bench_201_has_4930_functions_one_of_which_is_zero():
    assert DeIsomorphic()(task()).space.size() == 4_929


def test_a_space_too_large_to_be_listed_is_refused():
    with pytest.raises(ValueError, match="too many to be listed"):
        DeIsomorphic().check(task(DARTS(channels=4, layers=3)))


def test_alphas_start_at_the_usual_place_unless_asked():
    assert Random(20)(task()).start is None
    assert Random(20, kappa=0.5)(task()).start["cell"].abs().max() > 0
