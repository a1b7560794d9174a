import pytest

from tests.supernet.strategies.kills import kill_and_resume


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_search_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(processes, tmp_path):
    counts = kill_and_resume(tmp_path, kills=4, processes=processes, seed=1, longest=15)
    assert counts["searches"]
