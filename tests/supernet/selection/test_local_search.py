import pytest

from supernet.selection.local_search import LocalSearchSelection
from tests.supernet.selection import searching
from tests.supernet.selection.planted import Convolutions, Ranked

SETTINGS = {"budget": 40}


def test_the_best_of_all_that_the_budget_allows_is_returned(tmp_path):
    searching.assert_the_best_is_returned(LocalSearchSelection, tmp_path, 40, **SETTINGS)


@pytest.mark.parametrize("estimator", [Convolutions, Ranked])
def test_an_interrupted_search_comes_to_the_same(tmp_path, estimator):
    searching.assert_resuming_is_exact(LocalSearchSelection, tmp_path, estimator, **SETTINGS)


def test_a_pool_and_a_constraint_are_respected(tmp_path):
    searching.assert_pool_and_constraint_are_respected(LocalSearchSelection, tmp_path, **SETTINGS)


def test_two_objectives_have_a_front(tmp_path):
    searching.assert_two_objectives_have_a_front(LocalSearchSelection, tmp_path, **SETTINGS)


def test_it_is_a_function_of_the_seed(tmp_path):
    found = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        searching.select(LocalSearchSelection, tmp_path / str(number), seed=seed, **SETTINGS)
        found.append(list(searching.scores(tmp_path / str(number))))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("settings", [{"budget": 0}, {"starts": 0}, {"step": 0}, {"workers": -1}])
def test_settings_without_sense_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        LocalSearchSelection(tmp_path, Convolutions, **{**SETTINGS, **settings})
