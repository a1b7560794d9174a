"""One-hot features read an architecture off again."""

import numpy as np
import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from supernet.estimators.features.one_hot import OneHot
from tests.supernet.estimators.tasks import SMALL, task


def test_a_column_is_one_where_an_edge_has_the_operation():
    features = OneHot(task())
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    (row,) = features.table([SMALL.parse(text)])
    assert {name for name, value in zip(features.names, row, strict=True) if value} == {
        "0-1=nor_conv_3x3", "0-2=none", "1-2=skip_connect", "0-3=none", "1-3=avg_pool_3x3", "2-3=nor_conv_1x1",
    }  # fmt: skip
    assert len(features.names) == 30


@pytest.mark.parametrize(("space", "ones"), [(DARTS(), 16), (NASBench1Shot1(1), 13)], ids=["darts", "nasbench1shot1"])
def test_an_edge_that_is_not_kept_has_zeros(space, ones):
    architectures = space.sample(20, torch.Generator().manual_seed(0))
    table = OneHot(task(space)).table(architectures)
    assert (table.sum(axis=1) == ones).all()
    assert len(np.unique(table, axis=0)) == len(set(architectures))


def test_names_are_those_of_the_unrestricted_space():
    allowed = {"cell": torch.ones(6, 5, dtype=torch.bool)}
    allowed["cell"][:, 0] = False
    assert OneHot(task(SMALL.restrict(allowed))).names == OneHot(task()).names
    assert OneHot(task()).table([]).shape == (0, 30)
