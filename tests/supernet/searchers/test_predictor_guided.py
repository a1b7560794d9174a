import math

import pytest

from supernet.searchers.predictor_guided import predictor_guided
from tests.supernet.searchers.planted import (
    CORNERS,
    CUBE,
    OPTIMUM,
    SPACE,
    Asked,
    convolutions,
    seeded,
)  # fmt: skip


class Fits:
    """A perfect predictor, unless told otherwise, that remembers what it was given."""

    def __init__(self, predict=convolutions) -> None:
        self.predict = predict
        self.fitted: list = []
        self.candidates: list = []

    def __call__(self, architectures, scores):
        self.fitted.append((list(architectures), list(scores)))

        def predict(candidates):
            self.candidates.append(list(candidates))
            return self.predict(candidates)

        return predict


def run(score=convolutions, fit=None, seed=0, space=SPACE, **settings):
    settings = {"budget": 40, "initial": 10, "top": 5, "candidates": 50, "parents": 3} | settings
    return predictor_guided(space, score, seeded(seed), fit or Fits(), **settings)


def test_it_fits_on_everything_scored_and_scores_what_is_predicted_best():
    score, fit = Asked(), Fits()
    run(score, fit)
    assert [len(call) for call in score.calls] == [10] + [5] * 6
    for number, ((fitted, values), candidates) in enumerate(zip(fit.fitted, fit.candidates, strict=True), start=1):
        known = [one for call in score.calls[:number] for one in call]
        assert fitted == known
        assert values == convolutions(known)
        assert not set(candidates) & set(known)
        assert len(set(candidates)) == len(candidates)
        chosen = convolutions(score.calls[number])
        assert chosen == sorted(convolutions(candidates), reverse=True)[:5]


def test_a_good_predictor_finds_the_optimum_soon():
    assert run(budget=30).best == OPTIMUM
    assert run(fit=Fits(lambda few: [-value for value in convolutions(few)]), budget=30).best != OPTIMUM


def test_candidates_are_random_ones_and_all_new_neighbours_of_the_best():
    score, fit = Asked(), Fits()
    run(score, fit, candidates=0, budget=20)
    best = sorted(score.calls[0], key=lambda one: -convolutions([one])[0])[:3]
    assert set(fit.candidates[0]) == {
        near for one in best for near in SPACE.neighbours(one) if SPACE.is_valid(near)
    } - set(score.calls[0])
    fit = Fits()
    run(fit=fit, parents=0, budget=20)
    assert [len(few) for few in fit.candidates] == [50, 50]


def test_what_has_no_finite_score_is_not_fitted_on():
    def score(architectures):
        return [-math.inf if value == 1 else math.nan if value == 2 else value for value in convolutions(architectures)]

    fit = Fits()
    history = run(score, fit, initial=30, budget=60)
    assert any(not math.isfinite(value) for _, value in history.pairs)
    assert all(math.isfinite(value) for _, values in fit.fitted for value in values)
    assert len(run(lambda few: [math.nan] * len(few), fit=None)) == 40  # nothing to fit on: at random


def test_more_than_the_score_may_count():
    def prefer(architectures, scores):  # few convolutions
        assert len(architectures) == len(scores)
        return [-value for value in scores]

    score = Asked()
    run(score, space=CUBE, initial=4, top=2, budget=8, prefer=prefer)
    left = set(CORNERS) - set(score.calls[0])
    assert sorted(convolutions(score.calls[1])) == sorted(convolutions(left))[:2]


def test_a_constraint_and_a_pool_are_honoured_and_nothing_is_scored_twice():
    score = Asked()
    run(score, accept=lambda one: convolutions([one])[0] <= 2)
    assert max(convolutions(score.all)) == 2
    assert len(set(score.all)) == len(score.all) == 40
    assert set(run(space=SPACE.restrict(pool=CORNERS[:7]), budget=99, initial=2).scores) == set(CORNERS[:7])


def test_it_is_a_function_of_the_generator():
    assert run(seed=3).pairs == run(seed=3).pairs != run(seed=4).pairs


@pytest.mark.parametrize(
    "settings", [{"budget": 0}, {"initial": 1}, {"top": 0}, {"candidates": -1}, {"candidates": 0, "parents": 0}]
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        run(**settings)
