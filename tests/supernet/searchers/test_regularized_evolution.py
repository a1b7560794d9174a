import pytest

from search_spaces.darts import DARTS
from supernet.errors import UserError
from supernet.searchers.regularized_evolution import regularized_evolution
from tests.supernet.searchers.planted import CORNERS, CUBE, OPTIMUM, SPACE, Asked, convolutions, seeded

LARGE = DARTS()  # so large that a mutant is new, and the members of the population are the last that were scored


def run(score=convolutions, seed=0, space=SPACE, **settings):
    settings = {"budget": 150, "population": 10, "tournament": 3} | settings
    return regularized_evolution(space, score, seeded(seed), **settings)


def choices(architectures) -> list[float]:
    return [float(sum(choice for _, row in one.choices for choice in row)) for one in architectures]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_optimum_of_a_known_function_is_found_with_few_scores(seed):
    assert run(seed=seed, budget=300, tournament=10).best == OPTIMUM  # of 15,625


def test_first_a_random_population_then_one_mutant_at_a_time_none_twice():
    score = Asked()
    history = run(score)
    assert [len(call) for call in score.calls] == [10] + [1] * 140
    assert len(set(score.all)) == 150
    assert list(history.scores) == score.all


def test_every_parent_is_the_best_of_those_who_live_the_oldest_having_died():
    """With a tournament that draws everybody, algorithm 1 of the paper leaves no choice but that of the mutant."""
    population, score = 4, Asked(choices)
    history = run(score, space=LARGE, population=population, tournament=200, budget=60)
    pairs = history.pairs
    overtaken = 0
    for number in range(population, 60):
        alive = pairs[number - population : number]
        best = max(value for _, value in alive)
        assert any(pairs[number][0] in LARGE.neighbours(one) for one, value in alive if value == best)
        overtaken += best < max(value for _, value in pairs[:number])
    assert overtaken  # the best of all had died by then


def test_the_best_dies_of_age():
    first = []

    def score(architectures):  # nothing is ever as good as the first one
        first.extend(architectures[:1] if not first else [])
        return [1.0 if one == first[0] else 0.0 for one in architectures]

    pairs = run(score, space=LARGE, population=3, tournament=100, budget=40).pairs
    near = [one in LARGE.neighbours(first[0]) for one, _ in pairs]
    assert near[3]  # the child of the first population's best
    assert not any(near[6:])


def test_a_small_tournament_lets_worse_ones_have_children():
    def parents_are_best(tournament):
        pairs = run(choices, space=LARGE, population=10, tournament=tournament, budget=80).pairs
        return sum(
            any(
                pairs[number][0] in LARGE.neighbours(one)
                for one, value in pairs[number - 10 : number]
                if value == max(value for _, value in pairs[number - 10 : number])
            )
            for number in range(10, 80)
        )

    assert parents_are_best(100) == 70
    assert parents_are_best(1) < 35


def test_a_small_space_is_scored_to_its_end():
    history = run(space=CUBE, budget=1000, population=4)
    assert set(history.scores) == set(CORNERS)


def test_a_pool_without_neighbours_is_scored_to_its_end_too():
    apart = [CORNERS[0], CORNERS[3], CORNERS[12], CORNERS[15]]
    history = run(space=SPACE.restrict(pool=apart), budget=1000, population=2)
    assert set(history.scores) == set(apart)


def test_a_constraint_is_honoured_and_an_impossible_one_refused():
    assert max(convolutions(run(accept=lambda one: convolutions([one])[0] <= 2).scores)) == 2
    with pytest.raises(UserError, match="acceptable"):
        run(accept=lambda one: False)


def test_it_is_a_function_of_the_generator():
    assert run(seed=3).pairs == run(seed=3).pairs != run(seed=4).pairs


@pytest.mark.parametrize("settings", [{"budget": 0}, {"population": 0}, {"tournament": 1.5}])
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        run(**settings)
