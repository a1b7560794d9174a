from dataclasses import FrozenInstanceError

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture

OPERATIONS = {"cell": ("none", "skip", "conv")}


def test_architectures_are_values():
    one, same = Architecture.of({"cell": [0, 2]}), Architecture.of({"cell": (0, 2)})
    assert one == same
    assert hash(one) == hash(same)
    with pytest.raises(FrozenInstanceError):
        one.choices = ()


def test_one_hot_has_a_one_on_each_kept_edge_and_nothing_on_a_dropped_one():
    tables = Architecture.of({"cell": [2, DROPPED, 0]}).one_hot(OPERATIONS, torch.float64)
    assert tables["cell"].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_replace_changes_one_edge_and_distance_counts_changes():
    architecture = Architecture.of({"cell": [0, 1, 2]})
    changed = architecture.replace("cell", 1, 2)
    assert changed["cell"] == (0, 2, 2)
    assert architecture["cell"] == (0, 1, 2)
    assert architecture.distance(changed) == 1
    assert architecture.distance(architecture) == 0


def test_an_unknown_cell_type_is_named():
    with pytest.raises(KeyError, match="reduce"):
        Architecture.of({"cell": [0]})["reduce"]
