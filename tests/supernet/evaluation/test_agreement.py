import numpy as np
import pytest
from matplotlib.collections import PathCollection

from supernet.drawing import to_array
from supernet.evaluation.agreement import axis_scale, draw_agreement

GENERATOR = np.random.default_rng(0)
NORMAL = GENERATOR.normal(size=300)
FOUND = {"kendall_tau": 0.5, "spearman_rho": 0.625}


@pytest.mark.parametrize(("scores", "scale"), [
    (NORMAL, "linear"), (np.exp(8 * NORMAL), "log"), (np.sinh(8 * NORMAL), "rank"), (-np.exp(8 * NORMAL), "rank"),
    (np.full(5, -np.inf), "linear"), (np.ones(5), "linear"),
])  # fmt: skip
def test_scores_that_span_many_orders_have_another_axis(scores, scale):
    assert axis_scale(scores) == scale


def drawn(scores, accuracies=None):
    accuracies = np.clip(90 + NORMAL[: len(scores)], 10, 99) if accuracies is None else accuracies
    return draw_agreement(scores, accuracies, np.arange(1, len(scores) + 1), "mine on cifar10", FOUND)


def test_the_title_has_the_correlations():
    title = drawn(NORMAL)._suptitle.get_text()
    assert title.startswith("mine on cifar10: Kendall's τ = 0.500")
    assert "0.625" in title
    assert "300 architectures" in title


def test_every_architecture_has_a_dot_those_without_a_score_at_the_edge():
    scores = NORMAL.copy()
    scores[:20] = -np.inf
    scores[20:25] = np.nan
    left = drawn(scores).axes[0]
    dots, edge = [one for one in left.collections if isinstance(one, PathCollection)]
    assert len(dots.get_offsets()) == 275
    assert len(edge.get_offsets()) == 25
    assert set(edge.get_offsets()[:, 0]) == {left.get_xlim()[0]}
    assert left.get_legend().get_texts()[0].get_text() == "no finite score: 25"


def test_infinite_scores_stand_at_the_other_edge():
    scores = NORMAL.copy()
    scores[:20], scores[20:25] = np.inf, np.nan
    left = drawn(scores).axes[0]
    _, least, largest = [one for one in left.collections if isinstance(one, PathCollection)]
    assert [len(one.get_offsets()) for one in (least, largest)] == [5, 20]
    assert [{*one.get_offsets()[:, 0]} for one in (least, largest)] == [{end} for end in left.get_xlim()]
    assert least.get_paths()[0].vertices[:, 0].min() == -largest.get_paths()[0].vertices[:, 0].max()
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "no finite score: 5",
        "an infinite score: 20",
    ]


def test_an_outlier_does_not_squeeze_the_others():
    scores = np.concatenate([NORMAL, NORMAL, NORMAL, NORMAL, [1e3]])
    left = drawn(scores, np.linspace(50, 94, len(scores))).axes[0]
    assert left.get_xlim()[1] < 100


def test_accuracy_ticks_are_accuracies():
    left = drawn(NORMAL, np.linspace(10, 94, 300)).axes[0]
    labels = [float(label.get_text()) for label in left.get_yticklabels()]
    assert labels == sorted(labels)
    assert labels[0] == 10
    assert labels[-1] in (93, 94)


@pytest.mark.parametrize("ends", [
    (91.21, 91.38), (93.5, 94.4), (66.13, 66.35), (10, 10.4), (99.951, 99.99), (97.4, 97.4), (88, 100), (5, 9),
])  # fmt: skip
def test_accuracies_that_lie_close_together_have_ticks_among_them(ends):
    left = drawn(NORMAL, np.linspace(*ends, 300)).axes[0]
    labels = [float(label.get_text()) for label in left.get_yticklabels()]
    low, high = left.get_ylim()
    assert len(labels) >= 2
    assert labels == sorted(set(labels))
    assert all(low <= tick <= high for tick in left.get_yticks())
    assert [-np.log10(100 - label) for label in labels] == pytest.approx(list(left.get_yticks()), abs=1e-4)


@pytest.mark.parametrize("scores", [NORMAL, np.exp(8 * NORMAL), np.sinh(8 * NORMAL), np.full(300, -np.inf), NORMAL[:2]])
def test_it_can_be_drawn_whatever_the_scores(scores):
    assert to_array(drawn(scores)).std() > 1


def test_many_architectures_are_drawn_as_a_density():
    scores = GENERATOR.normal(size=2500)
    right = drawn(scores, 90 + scores).axes[1]
    assert not any(isinstance(one, PathCollection) for one in right.collections)
    assert to_array(right.figure).std() > 1
