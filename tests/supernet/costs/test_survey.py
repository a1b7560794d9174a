import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.costs.survey import Shape, once, survey


def test_every_place_has_one_copy_of_its_operation():
    found = survey(DARTS(channels=4, layers=3), (3, 16, 16))
    assert {found.network.get_submodule(place.module).copies for place in found.places} == {1}
    assert len(found.places) == 3 * 5 * 7  # cells, nodes that are left, operations but `none`


def test_the_edges_of_a_place_leave_the_same_node():
    space = NASBench201(channels=4, cells_per_stage=1)
    (edges,) = {place.edges for place in survey(space, (3, 8, 8)).places if "operations.0_" in place.module}
    assert [space.edges["cell"][edge] for edge in edges] == [(0, 1), (0, 2), (0, 3)]


def test_shapes_are_those_of_the_feature_maps():
    shapes = {place.shape for place in survey(DARTS(channels=4, layers=3), (3, 15, 16)).places}
    assert Shape("sep_conv_3x3", 1, (4, 15, 16), (4, 15, 16)) in shapes
    assert Shape("sep_conv_3x3", 2, (8, 15, 16), (8, 8, 8)) in shapes
    assert Shape("sep_conv_3x3", 1, (16, 4, 4), (16, 4, 4)) in shapes


def test_of_the_edges_of_a_node_the_first_that_may_have_an_operation_keeps_it():
    allowed = torch.tensor([[1, 0, 1], [1, 1, 0], [1, 1, 1], [0, 1, 0]]).bool()
    expected = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]]).bool()
    assert torch.equal(once(allowed, [0, 0, 1, 1]), expected)
