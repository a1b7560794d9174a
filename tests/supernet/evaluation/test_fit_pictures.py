"""What pictures of a fit show."""

import numpy as np
import pytest

from supernet.evaluation.fit_pictures import BARS, draw_importances, draw_predictions
from supernet.evaluation.fitting import Predictions


def test_the_most_important_features_stand_above_and_the_others_are_summed_up():
    importances = {f"f{number}": number / 300 for number in range(25)}
    (ax,) = draw_importances(importances, "title").axes
    heights = sorted(((bar.get_y(), bar.get_width()) for bar in ax.patches), reverse=True)
    assert [width for _, width in heights] == pytest.approx([number / 300 for number in range(24, 24 - BARS, -1)])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[np.argmax(ax.get_yticks())] == "f24"
    assert "the other 5: 0.033" in ax.get_xlabel()


def test_every_set_of_predictions_has_a_panel():
    sure = Predictions([], np.array([90.0, 91.0, 93.0]), np.array([90.5, 91.0, 92.0]), None, 0.1)
    unsure = Predictions([], np.array([90.0, 91.0]), np.array([0.3, -0.2]), np.array([0.1, 0.2]), 0.1)
    left, right = draw_predictions({"held out": sure, "other": unsure}, "title").axes
    assert left.get_title() == "held out: 3 architectures"
    assert left.collections[0].get_offsets().tolist() == [[90.5, 90.0], [91.0, 91.0], [92.0, 93.0]]
    assert [line.get_label() for line in left.lines] == ["equal"]
    assert len(right.collections) == 2  # dots and deviations
    assert not right.lines  # scores of another unit have no line where both are equal
