"""Path encodings against the paths that networkx lists."""

import networkx as nx
import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from supernet.estimators.features.paths import Paths
from tests.supernet.estimators.tasks import SMALL, task


def ones(features, architecture) -> set[str]:
    (row,) = features.table([architecture])
    return {name for name, value in zip(features.names, row, strict=True) if value}


def listed(edges, start, end) -> set[str]:
    """The operations along every path; edges are (source, node, operation), an empty one for a link."""
    graph = nx.DiGraph()
    graph.add_nodes_from([start, end])
    for source, node, name in edges:
        graph.add_edge(source, node, name=name)
    found = set()
    for path in nx.all_simple_edge_paths(graph, start, end):
        found.add(" > ".join(graph.edges[edge]["name"] for edge in path if graph.edges[edge]["name"]))
    return found


def test_the_sequences_between_input_and_output_are_there_and_no_others():
    features = Paths(task())
    assert len(features.names) == len(set(features.names)) == 4 + 16 + 64
    for architecture in SMALL.sample(30, torch.Generator().manual_seed(0)):
        named = [SMALL.operations["cell"][choice] for choice in architecture["cell"]]
        edges = [(*edge, name) for edge, name in zip(SMALL.edges["cell"], named, strict=True) if name != "none"]
        assert ones(features, architecture) == {f"path({path})" for path in listed(edges, 0, 3)}


def test_each_cell_and_each_input_of_darts_has_its_own():
    space = DARTS()
    features = Paths(task(space), most=20_000)
    for architecture in space.sample(3, torch.Generator().manual_seed(0)):
        expected = set()
        for cell, row in architecture.choices:
            edges = [(*e, space.operations[cell][c]) for e, c in zip(space.edges[cell], row, strict=True) if c >= 0]
            edges += [(node, 6, "") for node in range(2, 6)]
            for start in (0, 1):
                paths = listed(edges, start, 6)
                expected |= {f"{cell}.path(input {start + 1} > {path})" for path in paths}
        assert ones(features, architecture) == expected


def test_a_direct_connection_is_a_path_without_operations():
    space = NASBench1Shot1(1)
    features = Paths(task(space))
    direct = "|maxpool3x3~0|maxpool3x3~0~1|maxpool3x3~0~1|maxpool3x3~0~1|output~0~1|"
    assert ones(features, space.parse(direct)) == {"path()", "path(maxpool3x3)"}


def test_long_sequences_are_left_out_all_of_a_length_together():
    short = Paths(task(), most=83)
    assert len(short.names) == 20
    assert short.names == Paths(task()).names[:20]
    assert Paths(task(), most=84).names == Paths(task()).names


@pytest.mark.parametrize(("most", "reason"), [(3, "more than 3 columns"), (0, "whole number"), (2.5, "whole number")])
def test_a_number_of_columns_that_holds_nothing_is_refused(most, reason):
    with pytest.raises(ValueError, match=reason):
        Paths(task(), most)
