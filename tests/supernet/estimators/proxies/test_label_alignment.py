import math

import numpy as np
import pytest
import torch

from supernet.estimators.proxies.label_alignment import LabelAlignment, alignment, label_alignment
from tests.supernet.estimators.proxies.test_class_contrast import LABELS, gram
from tests.supernet.estimators.tasks import network, task


def test_kernels_that_differ_in_scale_and_mean_align_fully_and_unrelated_ones_not():
    blocks = torch.kron(torch.eye(2, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64))
    assert float(alignment(blocks, 3 * blocks + 2)) == pytest.approx(1)
    assert float(alignment(blocks, 5 - blocks)) == pytest.approx(-1)
    # The other way to make pairs: its centred form is orthogonal to the first.
    crossed = blocks[[0, 2, 1, 3]][:, [0, 2, 1, 3]]
    assert float(alignment(blocks, crossed)) == pytest.approx(0, abs=1e-12)
    assert float(alignment(blocks, torch.ones(4, 4, dtype=torch.float64))) == 0


def test_it_is_the_textbook_formula_with_a_centring_matrix():
    generator = torch.Generator().manual_seed(0)
    rows, others = torch.randn(5, 7, generator=generator), torch.randn(5, 3, generator=generator)
    k, l = (rows @ rows.T).double(), (others @ others.T).double()  # noqa: E741
    h = np.eye(5) - 1 / 5
    hkh, hlh = h @ k.numpy() @ h, h @ l.numpy() @ h
    expected = np.trace(hkh.T @ hlh) / np.sqrt(np.trace(hkh.T @ hkh) * np.trace(hlh.T @ hlh))
    assert float(alignment(k, l)) == pytest.approx(expected)


def test_layers_add_up_by_their_cosines_and_those_without_gradient_do_not_count():
    apart = gram([1, 0], [5, 0], [0, 2], [0, 0.1])
    crossed = gram([3, 0], [0, 1], [1, 0], [0, 1])
    missing = gram([1, 0], [0, 0], [0, 1], [0, 1])
    assert float(label_alignment([apart], LABELS)) == pytest.approx(1)
    assert float(label_alignment([apart, crossed, missing, apart], LABELS)) == pytest.approx(2)


def test_it_looks_at_the_labels_of_the_images_it_looks_at():
    made = LabelAlignment(task(), batch_size=24, gram_batch=20)
    images, labels = task().samples.batch(24)
    first = made.measure(network(seed=1), images, labels)
    later = labels.clone()
    later[20:] = 0
    assert made.measure(network(seed=1), images, later) == first
    assert made.measure(network(seed=1), images, labels.roll(1)) != first


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_not_finite_give_no_number(value):
    bad = torch.eye(4).double()
    bad[1, 1] = value
    assert label_alignment([bad], torch.tensor([0, 0, 1, 1])).isnan()
