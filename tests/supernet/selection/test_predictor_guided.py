import pytest
import torch

from supernet.errors import UserError
from supernet.estimators.features.one_hot import OneHot
from supernet.estimators.predictors.forest import Forest
from supernet.estimators.predictors.ridge import Ridge
from supernet.selection.base import task_of
from supernet.selection.predictor_guided import PredictorGuidedSelection
from tests.supernet.searches import SPACE, images, module
from tests.supernet.selection import searching
from tests.supernet.selection.planted import Convolutions, Ranked

SETTINGS = {
    "features": OneHot,
    "model": Ridge,
    "budget": 26,
    "initial": 10,
    "top": 10,
    "candidates": 30,
    "parents": 2,
}


def test_the_best_of_all_that_the_budget_allows_is_returned(tmp_path):
    searching.assert_the_best_is_returned(PredictorGuidedSelection, tmp_path, 26, **SETTINGS)


@pytest.mark.parametrize("estimator", [Convolutions, Ranked])
def test_an_interrupted_search_comes_to_the_same(tmp_path, estimator):
    searching.assert_resuming_is_exact(PredictorGuidedSelection, tmp_path, estimator, **SETTINGS)


def test_a_pool_and_a_constraint_are_respected(tmp_path):
    searching.assert_pool_and_constraint_are_respected(PredictorGuidedSelection, tmp_path, **SETTINGS)


def test_two_objectives_have_a_front(tmp_path):
    searching.assert_two_objectives_have_a_front(PredictorGuidedSelection, tmp_path, **SETTINGS)


def test_it_is_a_function_of_the_seed(tmp_path):
    found = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        searching.select(PredictorGuidedSelection, tmp_path / str(number), seed=seed, **SETTINGS)
        found.append(list(searching.scores(tmp_path / str(number))))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("settings", [{"budget": 0}, {"initial": 1}, {"top": 0}, {"candidates": -1}, {"kappa": -1.0}])
def test_settings_without_sense_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        PredictorGuidedSelection(tmp_path, Convolutions, **{**SETTINGS, **settings})


def test_what_the_model_is_unsure_of_may_be_promising(tmp_path):
    """With many deviations added, the order of the candidates is that of their deviations."""
    task = task_of(module(), images())
    selection = PredictorGuidedSelection(tmp_path, Convolutions, OneHot, Forest, kappa=1e6)
    few = [one for one in SPACE.sample(40, torch.Generator().manual_seed(0)) if SPACE.is_valid(one)]
    scores = [float(one["cell"].count(3)) for one in few[:20]]
    promise = torch.tensor(selection.fit(task)(few[:20], scores)(few[20:]), dtype=torch.float64)
    forest = Forest(task, OneHot(task)).fit(few[:20], scores)
    assert torch.equal(promise, forest.score(few[20:]) + 1e6 * forest.deviation(few[20:]))
    plain = PredictorGuidedSelection(tmp_path, Convolutions, OneHot, Forest).fit(task)(few[:20], scores)(few[20:])
    assert plain == forest.score(few[20:]).tolist()


def test_a_model_that_is_never_unsure_is_refused_before_any_work(tmp_path):
    task = task_of(module(), images())
    PredictorGuidedSelection(tmp_path, Convolutions, OneHot, Forest, kappa=1.0).check(task)
    with pytest.raises(UserError, match="Ridge does not know how sure it is"):
        PredictorGuidedSelection(tmp_path, Convolutions, OneHot, Ridge, kappa=1.0).check(task)
    with pytest.raises(ValueError, match="features=graf"):
        PredictorGuidedSelection(tmp_path, Convolutions, {}, Ridge).check(task)
