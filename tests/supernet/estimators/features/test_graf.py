"""Graph features against a golden vector and against networkx, on every kind of cell."""

import functools
import itertools

import networkx as nx
import numpy as np
import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import BLOCK, NASBench1Shot1
from search_spaces.nasbench201 import NASBench201, benchmark_order
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet.estimators.features.graf import GRAF, set_name
from tests.supernet.estimators.tasks import task

SPACE = NASBench201()
EVERY = "avg_pool_3x3+none+nor_conv_1x1+nor_conv_3x3+skip_connect"


@functools.cache
def graf(space=SPACE) -> GRAF:
    return GRAF(task(space))


def features(architecture, space=SPACE) -> dict[str, float]:
    made = graf(space)
    return dict(zip(made.names, made.table([architecture])[0].tolist(), strict=True))


def drawn(space, count=8, seed=0):
    return space.sample(count, torch.Generator().manual_seed(seed))


def sets(operations):
    return [some for count in range(1, len(operations) + 1) for some in itertools.combinations(operations, count)]


def joined(some) -> str:
    return "+".join(sorted(some))


def path_lengths(edges, start, end) -> list[int]:
    """The lengths of all paths, by listing them; edges are (source, node, length)."""
    graph = nx.DiGraph()
    graph.add_nodes_from([start, end])
    graph.add_weighted_edges_from(edges)
    return [nx.path_weight(graph, path, "weight") for path in nx.all_simple_paths(graph, start, end)]


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        ("nor_conv_3x3", (2, 3, 2, 1, 1.0)),
        ("skip_connect", (1, 1, 1, 1, 0.25)),
        ("nor_conv_1x1", (7, 0, 0, 1, 0.25)),
        ("nor_conv_1x1+nor_conv_3x3", (2, 3, 2, 2, 1.25)),
        (EVERY, (1, 3, 3, 3, 1.5)),
        ("none", (7, 0, 0, 0, 0.0)),
    ],
)
def test_an_architecture_of_the_benchmark_has_the_published_features(some, expected):
    found = features(benchmark_order()[13714])
    counts = {name: found[f"op_count({name})"] for name in SPACE.operations["cell"]}
    assert counts == {"none": 0, "skip_connect": 1, "nor_conv_1x1": 1, "nor_conv_3x3": 4, "avg_pool_3x3": 0}
    shortest, longest, leaving, entering, mean = expected
    assert found[f"min_path({some})"] == shortest
    assert found[f"max_path({some})"] == longest
    assert found[f"input_degree({some})"] == leaving
    assert found[f"output_degree({some})"] == entering
    assert found[f"mean_in_degree({some})"] == found[f"mean_out_degree({some})"] == mean


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (SPACE, 5 + 6 * 31),
        (DARTS(), 2 * (7 + 6 * 127)),
        (RobustDARTS("s2"), 2 * (2 + 6 * 3)),
        (NASBench1Shot1(2), 3 + 6 * 7),
        (NASBenchMacro(), 3 + 3 * 7 + 6),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_there_are_as_many_features_as_sets_of_operations_say(space, count):
    assert len(graf(space).names) == len(set(graf(space).names)) == count


def test_paths_and_degrees_are_those_that_networkx_lists():
    edges = SPACE.edges["cell"]
    for architecture in drawn(SPACE):
        found = features(architecture)
        named = [SPACE.operations["cell"][choice] for choice in architecture["cell"]]
        for some in sets(SPACE.operations["cell"]):
            kept = [(*edge, 1) for edge, name in zip(edges, named, strict=True) if name in some]
            lengths, key = path_lengths(kept, 0, 3), joined(some)
            assert found[f"min_path({key})"] == min(lengths, default=7)
            assert found[f"max_path({key})"] == max(lengths, default=0)
            assert found[f"input_degree({key})"] == sum(source == 0 for source, _, _ in kept)
            assert found[f"output_degree({key})"] == sum(node == 3 for _, node, _ in kept)
            assert found[f"mean_in_degree({key})"] == len(kept) / 4


def test_darts_has_the_longest_path_from_each_input_through_any_node():
    space = DARTS()
    chosen = [name for name in space.operations["reduce"] if name != "none"]
    (architecture,) = drawn(space, 1)
    found = features(architecture, space)
    for cell, some in itertools.product(("normal", "reduce"), sets(chosen)):
        named = [space.operations[cell][choice] if choice >= 0 else "" for choice in architecture[cell]]
        kept = [(*edge, 1) for edge, name in zip(space.edges[cell], named, strict=True) if name in some]
        links = [(node, "output", 0) for node in range(2, 6)]
        key = joined(some)
        for start in (0, 1):
            lengths = path_lengths(kept + links, start, "output")
            assert found[f"{cell}.max_path({key}, input {start + 1})"] == max(lengths, default=0)
            assert found[f"{cell}.input_degree({key}, input {start + 1})"] == sum(edge[0] == start for edge in kept)
        assert found[f"{cell}.mean_in_degree({key})"] == pytest.approx(len(kept) / 7)


@pytest.mark.parametrize("variant", [1, 2, 3])
def test_operations_on_nodes_are_counted_along_paths_of_vertices(variant):
    space = NASBench1Shot1(variant)
    last = len(space.parents)
    for architecture in drawn(space, 5):
        found, vertices = features(architecture, space), space.vertices(architecture)
        names = {0: "input", last: "output"} | {v: name for v, (name, _) in enumerate(vertices, 1) if v != last}
        assert found["op_count(conv1x1-bn-relu)"] == sum(name == "conv1x1-bn-relu" for name in names.values())
        for some in sets(BLOCK):
            there = {v for v, name in names.items() if name in some or v in (0, last)}
            links = [(p, v) for v, (_, parents) in enumerate(vertices, 1) for p in parents if {p, v} <= there]
            lengths = [n - 1 for n in path_lengths([(*link, 1) for link in links], 0, last)]
            key = joined(some)
            assert found[f"min_path({key})"] == min(lengths, default=len(space.edges["cell"]) + 1)
            assert found[f"max_path({key})"] == max(lengths, default=0)
            assert found[f"input_degree({key})"] == sum(p == 0 for p, _ in links)
            assert found[f"output_degree({key})"] == sum(v == last for _, v in links)
            assert found[f"mean_out_degree({key})"] == pytest.approx(len(links) / (last + 1))


def test_a_sequence_of_layers_is_counted_along_the_way():
    space = NASBenchMacro()
    found = features(space.parse("22012210"), space)
    assert [found[f"op_count(mb_k5_e6, first {count})"] for count in range(1, 8)] == [1, 2, 2, 2, 3, 4, 4]
    assert found["op_count(mb_k5_e6)"] == 4
    assert found["longest_run(mb_k5_e6)"] == 2
    assert found["longest_run(mb_k3_e3+mb_k5_e6)"] == 4
    assert found["longest_run(identity)"] == 1


def test_exchanged_nodes_leave_the_features_as_they_are():
    """Without an edge between them the nodes 1 and 2 may change places."""
    for architecture in drawn(SPACE):
        a, b, _, c, d, e = architecture["cell"]
        one = features(architecture.of({"cell": (a, b, 0, c, d, e)}))
        other = features(architecture.of({"cell": (b, a, 0, c, e, d)}))
        assert {k: v for k, v in one.items() if "none" not in k} == {k: v for k, v in other.items() if "none" not in k}


def test_company_order_and_restriction_do_not_change_a_row():
    architectures = drawn(SPACE, 1200)
    table = graf().table(architectures)
    rows = [0, 1023, 1024, 1199]
    assert np.array_equal(table[rows], graf().table([architectures[row] for row in rows]))
    allowed = {"cell": torch.ones(6, 5, dtype=torch.bool)}
    allowed["cell"][:, 4] = False
    small = GRAF(task(SPACE.restrict(allowed)))
    assert small.names == graf().names
    assert np.array_equal(small.table(architectures[:5]), table[:5])
    assert graf().table([]).shape == (0, 191)


def test_too_many_operations_are_refused():
    extra = {f"own_{number}": None for number in range(6)}
    with pytest.raises(ValueError, match=r"cell has 11 operations.*features=one_hot"):
        GRAF(task(NASBench201(extra_operations=extra)))


def test_a_set_is_named_in_alphabetical_order():
    assert set_name(("c", "a", "b"), 0b101) == "b+c"
