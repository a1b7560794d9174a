import pytest
import torch

from search_spaces import published
from search_spaces.darts import DARTS
from supernet.warm_start.live import LiveConvolutions, live_layers
from tests.supernet.estimators.tasks import SMALL, network, task

# the stem, the head, and twice three convolutions of reduction blocks; three cells have what is added
FIXED = 8


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 0),
        ("|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|", 6),
        (
            "|none~0|+|skip_connect~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
            2,
        ),  # 1 has no input
        ("|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_3x3~0|none~1|none~2|", 1),  # 1 and 2 lead nowhere
        ("|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|", 2),  # 2 has no input
    ],
)
def test_only_layers_on_a_path_from_input_to_output_count(text, live):
    built = network(architecture=text).double()
    assert live_layers(built, torch.randn(2, 3, 8, 8, dtype=torch.float64)) == FIXED + 3 * live
    assert LiveConvolutions(task(), batch_size=2).measurements(SMALL.parse(text)) == (FIXED + 3 * live,)


def test_every_layer_of_an_operation_counts_for_each_edge():
    space = DARTS(channels=4, layers=3)
    architecture = space.parse(published.DARTS["darts_v2"])  # all its operations and both inputs of a cell are used
    layers = {"sep": 4, "dil": 2, "skip": 0, "max": 0, "avg": 0}
    expected = 2 + 3 * 2 + 1  # stem and head; two inputs a cell, the first of the last cell with two convolutions
    for cell, cells in (("normal", 1), ("reduce", 2)):
        for (source, _), choice in zip(space.edges[cell], architecture[cell], strict=True):
            if choice >= 0:
                name = space.operations[cell][choice].partition("_")[0]
                halving = name == "skip" and cell == "reduce" and source < 2
                expected += cells * (2 if halving else layers[name])
    assert LiveConvolutions(task(space, size=16), batch_size=2).measurements(architecture) == (expected,)
