from supernet.drawing import to_array
from supernet.evaluation.bars import draw_bias, draw_comparison

DIFFERENCES = {
    "by_multiply_adds": [
        {"least": 1e6, "most": 2e6, "architectures": 10, "mean": -0.125},
        {"least": 2e6, "most": 9e6, "architectures": 10, "mean": 0.25},
    ],
    "by_operation": {
        "none": [{"count": 0, "architectures": 20, "mean": 0.0}],
        "conv": [{"count": 0, "architectures": 5, "mean": -0.5}, {"count": 2, "architectures": 15, "mean": 0.1}],
    },
}


def test_bars_of_cost_groups_point_up_where_they_are_over_estimated():
    left, right = draw_bias(DIFFERENCES, "mine").axes
    assert [bar.get_height() for bar in left.patches] == [-12.5, 25]
    assert [text.get_text() for text in left.texts] == ["-12.5", "+25.0"]
    assert [label.get_text() for label in left.get_xticklabels()] == ["1 to\n2", "2 to\n9"]
    (conv,) = [line for line in right.lines if line.get_label() == "conv"]
    assert conv.get_xydata().tolist() == [[0, -50], [2, 10]]


def test_evaluations_are_compared_row_by_row():
    rows = [
        {"name": "one", "tau": 0.75, "precision": 0.5}, {"name": "two", "tau": -0.25, "precision": 0.125},
        {"name": "none", "tau": None, "precision": 0.0},
    ]  # fmt: skip
    figure = draw_comparison(rows, {"tau": ("Kendall", 1.0, "{:.2f}"), "precision": ("P", 100.0, "{:.1f}")})
    first, second = figure.axes
    assert [text.get_text() for text in first.texts] == ["0.75", "-0.25", "-"]
    assert [text.get_text() for text in second.texts] == ["50.0", "12.5", "0.0"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["one", "two", "none"]
    heights = [bar.get_y() for bar in first.patches]
    assert heights == sorted(heights, reverse=True)
    assert to_array(figure).std() > 1
    assert len(draw_comparison(rows[:1], {"tau": ("Kendall", 1.0, "{:.2f}")}).axes) == 1
