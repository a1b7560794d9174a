import math

import pytest

from supernet.drawing import to_array
from supernet.selection.pictures import best_so_far, draw_front, draw_history


def test_the_best_so_far_never_falls():
    assert best_so_far([math.nan, 1.0, 0.5, 2.0, -math.inf]) == [-math.inf, 1.0, 1.0, 2.0, 2.0]


def test_the_curve_is_drawn_where_the_scores_are():
    (ax,) = draw_history([1.0, 3.0, 2.0, 4.0]).axes
    (line,) = ax.lines
    assert line.get_xydata().tolist() == [[1, 1], [2, 3], [3, 3], [4, 4]]
    assert ax.collections[0].get_offsets().tolist() == [[1, 1], [2, 3], [3, 2], [4, 4]]


def test_the_front_is_drawn_over_the_costs():
    (ax,) = draw_front([(1.0, 10.0), (3.0, 30.0), (2.0, 30.0)], [0, 1], "multiply_adds").axes
    assert ax.collections[0].get_offsets().tolist() == [[10, 1], [30, 3], [30, 2]]
    assert ax.collections[1].get_offsets().tolist() == [[10, 1], [30, 3]]
    assert ax.get_xlabel() == "multiply-adds"


@pytest.mark.parametrize("scores", [[], [1.0], [math.nan], [-math.inf, 1.0]])
def test_little_or_nothing_can_be_drawn(scores):
    assert to_array(draw_history(scores)).std() > 0
    points = [(score, 1.0) for score in scores if math.isfinite(score)]
    assert to_array(draw_front(points, list(range(len(points))), "parameters")).std() > 0
