import pytest

from supernet.errors import UserError
from supernet.searchers.history import History
from supernet.searchers.local_search import local_search
from tests.supernet.searchers.planted import (
    CORNERS,
    CUBE,
    OPTIMUM,
    SPACE,
    Asked,
    convolutions,
    corner,
    seeded,
    two_peaks,
)  # fmt: skip


def run(score=convolutions, seed=0, space=SPACE, **settings):
    return local_search(space, score, seeded(seed), **({"budget": 200} | settings))


@pytest.mark.parametrize("step", [None, 1, 5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_optimum_of_a_known_function_is_found_with_few_scores(seed, step):
    assert run(seed=seed, step=step).best == OPTIMUM


def test_a_climb_by_hand():
    """From a corner with one convolution: all four neighbours, then those of the best that are new: 3, 2, 2."""
    start = corner(0, 0, 1, 0)
    seed = next(seed for seed in range(99) if CUBE.sample(1, seeded(seed)) == [start])
    score = Asked()
    run(score, seed, CUBE, budget=12)
    assert [len(call) for call in score.calls] == [1, 4, 3, 2, 2]
    assert score.calls[0] == [start]
    assert set(score.calls[1]) == set(CUBE.neighbours(start))
    assert corner(1, 1, 1, 1) in score.calls[3]
    assert set(CUBE.neighbours(corner(1, 1, 1, 1))) <= set(score.all)


def test_it_begins_elsewhere_only_when_it_stands_on_a_local_optimum(monkeypatch):
    known_at_start: list[set] = []
    draw = History.draw
    monkeypatch.setattr(
        History, "draw", lambda self, *rest: known_at_start.append(set(self.scores)) or draw(self, *rest)
    )
    peaks = (corner(0, 0, 0, 0), corner(1, 1, 1, 1))
    begun_again = 0
    for seed in range(12):
        known_at_start.clear()
        run(two_peaks, seed, CUBE, budget=16)
        for known in known_at_start[1:]:
            assert any({peak, *CUBE.neighbours(peak)} <= known for peak in peaks)
            begun_again += len(known) < 16
    assert begun_again


def test_both_peaks_are_found_with_enough_budget():
    assert run(two_peaks, space=CUBE, budget=16).fittest(1)[0][1] == 10.0


def test_the_first_improvement_is_taken_at_once():
    score = Asked()
    run(score, 3, CUBE, budget=14, step=1)
    assert {len(call) for call in score.calls} == {1}
    current, number = score.all[0], 1
    for one in score.all[1:]:  # every one scored is a neighbour of the best so far, until that is the optimum
        if current == corner(1, 1, 1, 1):
            break
        assert one in CUBE.neighbours(current)
        current = one if convolutions([one]) > convolutions([current]) else current
        number += 1
    assert current == corner(1, 1, 1, 1)
    assert number <= 1 + 4 + 3 + 2 + 1


def test_a_climb_begins_at_the_best_of_several():
    score = Asked()
    run(score, 0, starts=20, budget=21)
    best = max(score.calls[0], key=lambda one: convolutions([one])[0])
    assert len(score.calls[0]) == 20
    assert score.calls[1][0] in SPACE.neighbours(best)


def test_nothing_is_scored_twice_and_the_budget_is_kept():
    score = Asked()
    history = run(score, budget=333)
    assert len(set(score.all)) == len(score.all) == len(history) == 333


def test_a_constraint_and_a_pool_are_honoured():
    assert max(convolutions(run(accept=lambda one: convolutions([one])[0] <= 2).scores)) == 2
    assert set(run(space=SPACE.restrict(pool=CORNERS[:7]), budget=99).scores) == set(CORNERS[:7])
    with pytest.raises(UserError, match="acceptable"):
        run(accept=lambda one: False)


def test_it_is_a_function_of_the_generator():
    assert run(seed=3).pairs == run(seed=3).pairs != run(seed=4).pairs


@pytest.mark.parametrize("settings", [{"budget": 0}, {"starts": 0}, {"step": 0}])
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        run(**settings)
