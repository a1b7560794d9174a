import numpy as np
import pytest

from supernet.evaluation.run_groups import grouped
from supernet.evaluation.run_pictures import draw_runs
from supernet.evaluation.runs import outcomes
from tests.supernet.evaluation.runs import search_run


def test_every_run_has_a_point_and_every_group_its_mean_and_deviation(tmp_path):
    for index, (name, value) in enumerate([("a", 0.2), ("a", 0.4), ("b", 0.5), ("c", None)]):
        search_run(tmp_path / str(index), f"relaxation={name}", f"seed={index}", value=value)
    (ax,) = draw_runs(grouped(outcomes(tmp_path))).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["relaxation=b", "relaxation=a"]
    points = [np.asarray(one.get_offsets()).tolist() for one in ax.collections if len(one.get_offsets())]
    assert points[0] == [[50.0, 1.0]]
    assert np.allclose(points[1], [[20.0, 0.0], [40.0, 0.0]])
    (bar,) = ax.containers
    low, high = bar[2][0].get_segments()[0][:, 0]
    # the deviation of 20 and 40 around 30 is sqrt(200)
    assert (low, high) == (pytest.approx(30 - 200**0.5), pytest.approx(30 + 200**0.5))


def test_of_many_groups_the_best_are_drawn(tmp_path):
    for index in range(45):
        search_run(tmp_path / str(index), f"clip={index}", value=index / 45)
    figure = draw_runs(grouped(outcomes(tmp_path)))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"clip={index}" for index in range(44, 4, -1)]
    assert figure.get_suptitle() == "the best 40 of 45"
