import itertools
import math
from collections import Counter

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import DARTS
from search_spaces.errors import ArchitectureError
from search_spaces.nasbench201 import NASBench201
from search_spaces.space import SearchSpace

SPACE = NASBench201()


class Tiny(SearchSpace):
    """Two cell types: one whose last node keeps two inputs of three, one that keeps everything."""

    name = "tiny"
    in_channels, num_classes = 3, 10

    def __init__(self, fewer=False):
        self.edges = {"a": ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), "b": ((0, 1),)}
        self.operations = {"a": ("none", "x", "y", "z"), "b": ("x", "y")}
        self.inputs = {"a": {2: 1, 3: 2}}
        self.fewer_inputs = fewer
        self.unchosen = frozenset({"none"})
        self.allowed = {"a": torch.ones(6, 4, dtype=torch.bool), "b": torch.ones(1, 2, dtype=torch.bool)}

    build = discretize = parse = format = is_valid = canonical = arguments = None


Tiny.__abstractmethods__ = frozenset()

UNEVEN = torch.tensor(
    [
        [1, 0, 1, 1],
        [0, 1, 0, 0],
        [1, 1, 1, 1],
        [1, 0, 0, 0],  # only `none`: this edge is never kept
        [1, 1, 0, 1],
        [0, 0, 1, 0],
    ]
).bool()
TINY = {
    "full": Tiny(),
    "uneven": Tiny().restrict({"a": UNEVEN}),
    "fewer": Tiny(fewer=True).restrict({"a": UNEVEN}),
}


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


def test_a_candidate_is_allowed_and_may_be_chosen():
    assert TINY["uneven"].candidates("a")[:, 0].sum() == 0
    assert torch.equal(TINY["uneven"].candidates("a")[:, 1:], UNEVEN[:, 1:])


def test_a_restriction_that_leaves_no_architecture_is_refused():
    table = UNEVEN.clone()
    table[4, 1:] = False  # node 3 has one edge left, and keeps two
    with pytest.raises(ValueError, match="no architecture of tiny"):
        Tiny().restrict({"a": table})
    assert Tiny(fewer=True).restrict({"a": table}).size() > 0


def test_restriction_leaves_the_original_alone_and_shrinks_everything_with_it(generator):
    table = SPACE.allowed["cell"].clone()
    table[:, 0] = False  # no `none`
    small = SPACE.restrict({"cell": table})
    assert small.size() == 4**6
    assert SPACE.size() == 5**6
    assert len(list(small.enumerate())) == 4**6
    assert all(0 not in architecture["cell"] for architecture in small.sample(100, generator))
    assert torch.equal(small.prior()["cell"], table / 4)
    assert all(len(small.neighbours(a)) == 6 * 3 for a in small.sample(3, generator))


def test_restriction_cannot_bring_an_operation_back_or_empty_an_edge():
    table = SPACE.allowed["cell"].clone()
    table[0, 0] = False
    small = SPACE.restrict({"cell": table})
    with pytest.raises(ValueError, match="ruled out"):
        small.restrict(SPACE.allowed)
    empty = table.clone()
    empty[3] = False
    with pytest.raises(ValueError, match=r"edges \[3\]"):
        SPACE.restrict({"cell": empty})


def test_a_pool_is_the_whole_space_to_every_method(generator):
    pool = SPACE.sample(50, generator)
    small = SPACE.restrict(pool=pool)
    assert small.size() == len(set(pool))
    assert set(small.sample(300, generator)) <= set(pool)
    assert set(small.enumerate()) == set(pool)
    assert all(set(small.neighbours(a)) <= set(pool) for a in pool)
    assert [a for a in SPACE.enumerate() if small.contains(a)] == sorted(set(pool))
    prior = small.prior()["cell"]
    assert torch.allclose(prior.sum(dim=1), torch.ones(6))


def test_a_pool_without_a_member_of_the_space_is_refused():
    table = SPACE.allowed["cell"].clone()
    table[:, 0] = False
    with pytest.raises(ValueError, match="keeps no architecture"):
        SPACE.restrict({"cell": table}, pool=[Architecture.of({"cell": [0] * 6})])


def test_sampling_is_a_function_of_the_generator():
    for space in (SPACE, DARTS(), TINY["uneven"]):
        first, same, other = (space.sample(20, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert first == same
        assert first != other


def test_mutation_is_one_edit_and_crossover_takes_each_edge_from_a_parent(generator):
    one, other = SPACE.sample(2, generator)
    assert SPACE.mutate(one, generator).distance(one) == 1
    child = SPACE.crossover(one, other, generator)
    assert all(c in (a, b) for c, a, b in zip(child["cell"], one["cell"], other["cell"], strict=True))


def test_mutation_without_a_neighbour_is_refused(generator):
    alone = SPACE.sample(1, generator)[0]
    with pytest.raises(ValueError, match="no neighbour"):
        SPACE.restrict(pool=[alone]).mutate(alone, generator)


def test_a_space_that_is_too_large_is_sampled_and_not_enumerated():
    with pytest.raises(ValueError, match=r"darts has 1,076,746,950,455,072,400 .*sample"):
        next(DARTS().enumerate())


def test_architectures_of_another_shape_are_refused():
    with pytest.raises(ArchitectureError, match="6 edges"):
        SPACE.network(Architecture.of({"cell": [0, 1]}))
    with pytest.raises(ArchitectureError, match="5 operations"):
        SPACE.network(Architecture.of({"cell": [0, 1, 2, 3, 4, 5]}))
    with pytest.raises(ArchitectureError, match="normal"):
        SPACE.network(Architecture.of({"normal": [0] * 6}))
