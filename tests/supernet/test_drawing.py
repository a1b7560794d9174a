import numpy as np
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.nasbench201 import NASBench201, benchmark_order
from supernet.drawing import assign_lanes, draw_genotype, draw_weights, to_array

SPACE = NASBench201()


def labels(figure) -> str:
    return " ".join(text.get_text().replace("\n", "_") for axes in figure.axes for text in axes.texts)


def test_every_edge_that_is_kept_has_its_operation_as_a_label():
    architecture = benchmark_order()[13714]
    figure = draw_genotype(SPACE.edges, SPACE.operations, architecture)
    shown = labels(figure)
    assert shown.count("nor_conv_3x3") == 4
    assert shown.count("nor_conv_1x1") == 1
    assert shown.count("skip_connect") == 1


def test_a_space_with_two_cell_types_and_dropped_edges_is_drawn():
    edges = {"normal": ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), "reduce": ((0, 2), (1, 2))}
    operations = {"normal": ("none", "skip_connect", "sep_conv_3x3"), "reduce": ("none", "max_pool_3x3")}
    architecture = Architecture.of({"normal": [2, 1, DROPPED, 2, 1], "reduce": [1, 1]})
    figure = draw_genotype(edges, operations, architecture)
    shown = labels(figure)
    assert shown.count("sep_conv_3x3") == 2
    assert shown.count("max_pool_3x3") == 2


def test_the_tops_of_arcs_of_one_height_where_labels_stand_lie_apart():
    darts = [(source, node) for node in range(2, 6) for source in range(node)]
    for edges in (SPACE.edges["cell"], darts[:9], [(0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4), (2, 5), (3, 5)]):
        lanes = assign_lanes(edges)
        assert all(lanes[edge] == 0 for edge in edges if edge[1] - edge[0] == 1)
        for one in edges:
            for other in edges:
                if one < other and lanes[one] == lanes[other]:
                    assert abs(sum(one) - sum(other)) / 2 >= 1, (one, other)


def test_the_heat_map_prints_every_value():
    weights = torch.arange(30).reshape(6, 5) / 435
    figure = draw_weights(weights, SPACE.edges["cell"], SPACE.operations["cell"])
    shown = labels(figure)
    assert all(f"{value:.3f}" in shown for value in weights.flatten().tolist())


def test_a_figure_becomes_an_image_with_something_on_it():
    image = to_array(draw_weights(torch.full((6, 5), 0.2), SPACE.edges["cell"], SPACE.operations["cell"]))
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert 600 <= image.shape[1] <= 1000
    assert image.std() > 5
