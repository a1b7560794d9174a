"""Counting, drawing and editing, against brute force over tiny spaces."""

import itertools
import math
from collections import Counter

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from tests.search_spaces.tiny import TINY


@pytest.fixture(params=list(TINY))
def tiny(request):
    return TINY[request.param]


def by_brute_force(space):
    """Every architecture of a tiny space, from the definition."""
    cells = []
    for cell, edges in space.edges.items():
        rows = []
        allowed, names = space.allowed[cell].tolist(), space.operations[cell]
        entering = Counter(node for _, node in edges)
        for row in itertools.product(range(DROPPED, len(names)), repeat=len(edges)):
            chosen = [(edge, choice) for edge, choice in enumerate(row) if choice != DROPPED]
            if all(allowed[edge][choice] and names[choice] != "none" for edge, choice in chosen):
                kept = Counter(edges[edge][1] for edge, _ in chosen)
                wanted = {node: space.inputs.get(cell, {}).get(node, count) for node, count in entering.items()}
                if all(kept[n] == most or (space.fewer_inputs and 1 <= kept[n] < most) for n, most in wanted.items()):
                    rows.append(row)
        cells.append(rows)
    return [Architecture.of(dict(zip(space.edges, rows, strict=True))) for rows in itertools.product(*cells)]


@pytest.fixture(scope="module")
def expected():
    return {name: by_brute_force(space) for name, space in TINY.items()}


@pytest.mark.parametrize("name", list(TINY))
def test_enumeration_is_complete_and_distinct_and_size_is_its_length(name, expected):
    everything = list(TINY[name].enumerate())
    assert len(everything) == len(set(everything)) == TINY[name].size() == len(expected[name])
    assert set(everything) == set(expected[name])


@pytest.mark.parametrize("name", list(TINY))
def test_contains_is_membership(name, expected):
    space, members = TINY[name], set(expected[name])
    options = [range(DROPPED, 4)] * 6
    for row in itertools.islice(itertools.product(*options), 0, None, 7):
        architecture = Architecture.of({"a": row, "b": (1,)})
        assert space.contains(architecture) == (architecture in members)


@pytest.mark.parametrize("name", list(TINY))
def test_the_prior_is_the_mean_over_the_space(name, expected):
    space = TINY[name]
    for cell, table in space.prior().items():
        tables = torch.stack([a.one_hot(space.operations, torch.float64)[cell] for a in expected[name]])
        torch.testing.assert_close(table.double(), tables.mean(dim=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["uneven", "fewer"])
def test_sampling_is_uniform_over_the_space(name, expected, generator):
    space = TINY[name]
    counts = Counter(space.sample(400 * len(expected[name]), generator))
    assert counts.keys() == set(expected[name])
    statistic = sum((count - 400) ** 2 / 400 for count in counts.values())
    freedom = len(counts) - 1
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)  # chi-squared, five standard deviations


@pytest.mark.parametrize("name", list(TINY))
def test_neighbours_are_distinct_members_symmetric_and_lead_everywhere(name, expected):
    space = TINY[name]
    near = {architecture: space.neighbours(architecture) for architecture in expected[name]}
    for architecture, found in near.items():
        assert len(found) == len(set(found))
        assert architecture not in found
        assert all(architecture in near[other] for other in found)
    reached, frontier = {expected[name][0]}, [expected[name][0]]
    while frontier:
        fresh = [other for other in near[frontier.pop()] if other not in reached]
        reached |= set(fresh)
        frontier += fresh
    assert reached == set(expected[name])


def test_neighbours_of_a_kept_edge_are_other_operations_and_other_edges():
    architecture = Architecture.of({"a": [1, DROPPED, 2, 3, 1, DROPPED], "b": [0]})
    near = {a["a"] for a in TINY["full"].neighbours(architecture) if a["b"] == (0,)}
    other_operations = {(2, -1, 2, 3, 1, -1), (3, -1, 2, 3, 1, -1), (1, -1, 1, 3, 1, -1), (1, -1, 3, 3, 1, -1)}
    other_operations |= {(1, -1, 2, 1, 1, -1), (1, -1, 2, 2, 1, -1), (1, -1, 2, 3, 2, -1), (1, -1, 2, 3, 3, -1)}
    other_edges = {(1, 2, -1, 3, 1, -1), (1, -1, 2, -1, 1, 3), (1, -1, 2, 3, -1, 1)}
    assert near == other_operations | other_edges


def test_mutation_draws_a_neighbour_uniformly(tiny, generator):
    architecture = tiny.sample(1, generator)[0]
    near = tiny.neighbours(architecture)
    counts = Counter(tiny.mutate(architecture, generator) for _ in range(100 * len(near)))
    assert counts.keys() == set(near)
    assert min(counts.values()) > 50


def test_crossover_stays_in_the_space_and_takes_a_node_s_inputs_from_one_parent(tiny, generator):
    for one, other in itertools.pairwise(tiny.sample(200, generator)):
        child = tiny.crossover(one, other, generator)
        assert tiny.contains(child)
        for edges in ((0,), (1, 2), (3, 4, 5)):
            parts = [tuple(architecture["a"][edge] for edge in edges) for architecture in (child, one, other)]
            assert parts[0] in parts[1:]
