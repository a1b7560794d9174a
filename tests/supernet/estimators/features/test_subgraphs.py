"""Paths in a graph small enough to see: 0-1-3 and 0-3, and a node 2 that leads nowhere."""

import numpy as np

from supernet.estimators.features.graph import LINK
from supernet.estimators.features.subgraphs import degrees, longest_paths, nonempty_sets, shortest_paths, subgraphs

EDGES = ((0, 1), (0, 2), (1, 3), (0, 3))
CHOICES = np.array([[0, 1, 0, 1], [0, 0, -1, -1], [LINK, 1, 0, -1]])
SETS = nonempty_sets(2)
PRESENT = subgraphs(CHOICES, SETS)


def test_every_set_but_the_empty_one_is_looked_at():
    assert SETS.tolist() == [0b01, 0b10, 0b11]


def test_an_edge_is_in_the_subgraphs_of_the_sets_with_its_operation_and_a_link_in_all():
    assert PRESENT[0].tolist() == [[True, False, True, False], [False, True, False, True], [True] * 4]
    assert PRESENT[1].any(axis=0).tolist() == [True, True, False, False]
    assert PRESENT[2, :, 0].all()


def test_shortest_and_longest_paths_of_each_set():
    ones = [1, 1, 1, 1]
    assert shortest_paths(PRESENT, EDGES, ones, 0, 3).tolist() == [[2, 1, 1], [5, 5, 5], [2, 5, 2]]
    assert longest_paths(PRESENT, EDGES, ones, 0, 3).tolist() == [[2, 1, 2], [0, 0, 0], [2, 0, 2]]


def test_lengths_may_be_zero():
    assert longest_paths(PRESENT, EDGES, [0, 1, 1, 1], 0, 3).tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 1]]


def test_degrees_count_the_chosen_edges():
    assert degrees(PRESENT, [0, 1, 3]).tolist() == [[1, 2, 3], [2, 0, 2], [1, 2, 2]]
