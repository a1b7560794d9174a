"""Cells as graphs: what is an operation, what a link, and where images come in and leave."""

import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from supernet.estimators.features.graph import LINK, graphs
from tests.supernet.estimators.tasks import SMALL


def test_a_plain_cell_has_its_operations_as_they_are():
    (graph,) = graphs(SMALL)
    architecture = SMALL.sample(1, torch.Generator().manual_seed(0))[0]
    assert (graph.inputs, graph.output, graph.nodes) == ((0,), 3, 4)
    assert graph.choices([architecture]).tolist() == [list(architecture["cell"])]
    assert graph.choices([]).shape == (0, 6)


def test_darts_puts_every_node_beside_the_others_and_has_no_none():
    space = DARTS()
    graph, _ = graphs(space)
    assert (graph.inputs, graph.output) == ((0, 1), 6)
    assert graph.edges[-4:] == ((2, 6), (3, 6), (4, 6), (5, 6))
    assert "none" not in graph.operations
    architecture = space.sample(1, torch.Generator().manual_seed(0))[0]
    (row,) = graph.choices([architecture]).tolist()
    assert row[-4:] == [LINK] * 4
    for mine, theirs in zip(row, architecture["normal"], strict=False):
        assert (mine < 0) == (theirs < 0)
        assert mine < 0 or graph.operations[mine] == space.operations["normal"][theirs]


def test_connections_between_vertices_are_links_and_projections_too():
    space = NASBench1Shot1(1)
    (graph,) = graphs(space)
    architecture = space.sample(1, torch.Generator().manual_seed(0))[0]
    (row,) = graph.choices([architecture]).tolist()
    for (source, _), mine, theirs in zip(graph.edges, row, architecture["cell"], strict=True):
        assert mine == (theirs if source % 2 else LINK if theirs >= 0 else -1)
