import itertools
import math

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import CELL, NASBench201
from supernet.errors import UserError
from supernet.searchers import evolution
from supernet.searchers.evolution import Evolution, evolve, mutate

SPACE, TWO_CELLS = NASBench201(), DARTS()
CONV, NONE = 3, 0
OPTIMUM = Architecture.of({CELL: [CONV] * 6})


def convolutions(architectures) -> list[int]:
    return [architecture[CELL].count(CONV) for architecture in architectures]


def run(seed: int = 0, space=SPACE, score=convolutions, **settings) -> Evolution:
    settings = {"population": 20, "generations": 10, "survivors": 5} | settings
    return evolve(space, score, torch.Generator().manual_seed(seed), **settings)


def scored(found: Evolution) -> list[Architecture]:
    return [architecture for generation in found.generations for architecture, _ in generation]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_optimum_of_a_known_function_is_found_with_few_scores(seed):
    found = run(seed)
    assert found.best == OPTIMUM
    assert len(scored(found)) <= 200  # of 15,625


def test_the_papers_settings_are_the_default():
    calls = []
    evolve(SPACE, lambda few: calls.append(len(few)) or convolutions(few), torch.Generator().manual_seed(0))
    assert calls == [50] * 20


def test_what_is_scored_is_valid_distinct_and_of_the_space():
    narrowed = {CELL: SPACE.allowed[CELL].clone()}
    narrowed[CELL][:, 1] = False
    space = SPACE.restrict(narrowed)
    tried = scored(run(space=space))
    assert len(set(tried)) == len(tried)
    assert all(space.is_valid(architecture) and space.contains(architecture) for architecture in tried)


def test_generations_have_the_size_asked_for_also_with_two_cells():
    def score(architectures):
        return [sum(choice for _, row in a.choices for choice in row) for a in architectures]

    found = run(space=TWO_CELLS, score=score, population=7, generations=4)
    assert [len(generation) for generation in found.generations] == [7] * 4
    assert all(TWO_CELLS.contains(architecture) for architecture in scored(found))


def test_the_best_are_never_lost():
    found = run()
    pasts = [Evolution(found.generations[: number + 1]) for number in range(len(found.generations))]
    for before, after in itertools.pairwise(pasts):
        for (_, old), (_, new) in zip(before.fittest(5), after.fittest(5), strict=True):
            assert new >= old


def test_only_survivors_have_children(monkeypatch):
    parents = []
    monkeypatch.setattr(
        evolution, "mutate", lambda space, parent, *rest: parents.append(parent) or mutate(space, parent, *rest)
    )
    starts = []

    def score(architectures):
        starts.append(len(parents))
        return convolutions(architectures)

    found = run(score=score, survivors=3, generations=5)
    for number in range(1, 5):
        survivors = [architecture for architecture, _ in Evolution(found.generations[:number]).fittest(3)]
        assert set(parents[starts[number - 1] : starts[number]]) <= set(survivors)


def test_it_is_a_function_of_the_generator():
    assert run(3) == run(3)
    assert run(3) != run(4)


def test_a_constraint_is_honoured_and_an_impossible_one_refused():
    tried = scored(run(accept=lambda architecture: architecture[CELL].count(CONV) <= 2))
    assert max(convolutions(tried)) == 2
    with pytest.raises(UserError, match="acceptable"):
        run(accept=lambda architecture: False)


def test_a_small_pool_is_scored_once_and_then_it_ends():
    pool = [a for a in itertools.islice(SPACE.enumerate(), 9000, 9012) if SPACE.is_valid(a)]
    found = run(space=SPACE.restrict(pool=pool), population=8, generations=30)
    assert sorted(scored(found)) == sorted(pool)
    assert len(found.generations) < 30


def test_of_equals_the_older_is_fitter_and_what_has_no_score_comes_last():
    one, two, three = SPACE.sample(3, torch.Generator().manual_seed(0))
    found = Evolution((((one, math.nan), (two, 1.0)), ((three, 1.0),)))
    assert [architecture for architecture, _ in found.fittest(3)] == [two, three, one]


def test_each_edge_changes_with_the_given_probability(generator):
    parents = SPACE.sample(400, generator)
    changed = [parent.distance(mutate(SPACE, parent, 0.3, generator)) for parent in parents]
    assert sum(changed) / (6 * len(parents)) == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 2400))
    assert all(parent.distance(mutate(SPACE, parent, 1.0, generator)) == 6 for parent in parents[:20])


def test_where_nodes_keep_some_inputs_a_mutant_may_move_an_edge(generator):
    parents = TWO_CELLS.sample(60, generator)
    mutants = [mutate(TWO_CELLS, parent, 0.2, generator) for parent in parents]
    assert all(TWO_CELLS.contains(mutant) for mutant in mutants)
    kept = [
        [[choice != DROPPED for choice in row] for _, row in architecture.choices]
        for architecture in (*parents, *mutants)
    ]
    assert any(before != after for before, after in zip(kept[:60], kept[60:], strict=True))


@pytest.mark.parametrize(
    "settings", [{"population": 0}, {"generations": 1.5}, {"survivors": 0}, {"mutation": 0.0}, {"mutation": 1.1}]
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        run(**settings)


def test_scores_that_depend_on_the_company_are_those_among_all_so_far():
    asked = []

    def ranks(architectures) -> list[float]:
        counts = convolutions(architectures)
        return [sum(other < count for other in counts) for count in counts]

    def everything(architectures) -> list[float]:
        asked.append(len(architectures))
        return ranks(architectures)

    found = run(score=ranks, rescore=everything, population=6, generations=4)
    assert asked == [6, 12, 18, 24]
    history = [pair for generation in found.generations for pair in generation]
    assert [score for _, score in history] == ranks([architecture for architecture, _ in history])
    assert found.best[CELL].count(CONV) == max(convolutions([architecture for architecture, _ in history]))


def test_without_rescoring_a_score_stays_what_it_was():
    found = run(score=lambda few: list(range(len(few))), population=3, generations=2)
    assert [[score for _, score in generation] for generation in found.generations] == [[0, 1, 2]] * 2
