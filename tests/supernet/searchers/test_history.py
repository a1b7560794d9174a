import itertools
import math

import pytest

from search_spaces.nasbench201 import CELL
from supernet.errors import UserError
from supernet.searchers.history import History
from tests.supernet.searchers.planted import CONV, CORNERS, CUBE, SPACE, Asked, convolutions, corner, seeded

DISCONNECTED = SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def test_nothing_is_scored_twice_or_beyond_the_budget():
    score = Asked()
    history = History(CUBE, score, 3)
    history.add([CORNERS[0], CORNERS[0], CORNERS[1]])
    history.add([CORNERS[1], CORNERS[5], CORNERS[6]])
    assert score.calls == [[CORNERS[0], CORNERS[1]], [CORNERS[5]]]
    assert history.left == 0
    history.add([CORNERS[7]])
    assert len(score.calls) == 2
    assert history.pairs == [(CORNERS[0], 2.0), (CORNERS[1], 3.0), (CORNERS[5], 4.0)]


def test_of_equals_the_older_is_fitter_and_what_has_no_score_comes_last():
    values = iter([math.nan, 1.0, 1.0])
    history = History(CUBE, lambda few: [next(values) for _ in few], 3)
    history.add(CORNERS[:3])
    assert [one for one, _ in history.fittest(3)] == [CORNERS[1], CORNERS[2], CORNERS[0]]
    assert history.best == CORNERS[1]
    assert history.worth(CORNERS[0]) == -math.inf


def test_what_is_acceptable_is_valid_of_the_space_and_its_pool_and_fits_the_constraint():
    history = History(CUBE.restrict(pool=CORNERS[:8]), convolutions, 9, accept=lambda one: one[CELL].count(CONV) < 5)
    assert history.acceptable(CORNERS[0])
    assert not history.acceptable(corner(0, 1, 1, 1))  # in the pool, five convolutions
    assert not history.acceptable(CORNERS[8])  # not in the pool
    assert not History(SPACE, convolutions, 1).acceptable(DISCONNECTED)


def test_the_last_of_a_space_are_found_too():
    history = History(CUBE, convolutions, 100)
    history.add(CORNERS[:14])
    assert set(history.draw(10, seeded())) == set(CORNERS[14:])
    history.add(CORNERS)
    assert history.draw(1, seeded()) == []


def test_a_rare_fit_is_found_in_a_space_that_can_be_listed():
    only = next(itertools.islice(filter(SPACE.is_valid, SPACE.enumerate()), 7000, None))
    history = History(SPACE, convolutions, 5, accept=lambda one: one == only)
    assert history.draw(3, seeded()) == [only]


def test_draws_are_different_and_a_function_of_the_generator():
    history = History(SPACE, convolutions, 50)
    drawn = history.draw(50, seeded(1))
    assert len(set(drawn)) == 50
    assert drawn == history.draw(50, seeded(1)) != history.draw(50, seeded(2))


def test_scores_among_all_so_far_are_taken_anew_with_each_addition():
    def ranks(architectures) -> list[float]:
        counts = convolutions(architectures)
        return [float(sum(other < count for other in counts)) for count in counts]

    history = History(CUBE, convolutions, 9, rescore=ranks)
    history.add([corner(0, 0, 0, 1)])
    assert history.pairs == [(corner(0, 0, 0, 1), 0.0)]
    history.add([corner(0, 0, 0, 0), corner(1, 1, 1, 1)])
    assert [value for _, value in history.pairs] == [1.0, 0.0, 2.0]


def test_where_nothing_is_acceptable_there_is_no_beginning():
    with pytest.raises(UserError, match="acceptable"):
        History(CUBE, convolutions, 5, accept=lambda one: False).begin(3, seeded())
    with pytest.raises(ValueError, match="budget"):
        History(CUBE, convolutions, 0)
