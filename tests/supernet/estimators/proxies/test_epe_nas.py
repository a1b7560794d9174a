import math

import pytest
import torch

from supernet.estimators.proxies.epe_nas import EPENAS, class_correlations
from tests.supernet.estimators.tasks import task

ORTHOGONAL = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, -1]])
OPPOSITE = torch.tensor([[1.0, -1, 0, 0], [-1.0, 1, 0, 0]])


def test_the_score_worked_by_hand():
    # Two classes of two images: correlations 0 in the one, -1 in the other; 1 of each with itself.
    rows, labels = torch.cat([ORTHOGONAL, OPPOSITE]), torch.tensor([3, 3, 7, 7])
    same, none = math.log(1 + 1e-5), math.log(1e-5)
    expected = abs(2 * same + 2 * none) + abs(4 * same)
    assert float(class_correlations(rows, labels)) == pytest.approx(expected)


def test_the_order_of_images_does_not_matter_but_their_classes_do():
    rows, labels = torch.randn(12, 9, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    score = class_correlations(rows, labels)
    torch.testing.assert_close(class_correlations(rows[order], labels[order]), score)
    assert not torch.isclose(class_correlations(rows, labels[order]), score)


def test_many_classes_are_compared_in_pairs_by_their_sum_for_each_image():
    three = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, -1], [-1.0, 1, 0, 0]])
    rows = torch.cat([three, OPPOSITE] * 51)
    labels = torch.arange(102).repeat_interleave(torch.tensor([3, 2] * 51))
    same, none = math.log(1 + 1e-5), math.log(1e-5)
    difference = abs((5 * same + 4 * none) / 3 - 4 * same / 2)
    # 51 classes of either kind: 51 * 51 unequal pairs, in either order, over 102 classes.
    assert float(class_correlations(rows, labels)) == pytest.approx(2 * 51 * 51 * difference / 102, rel=1e-6)


def test_classes_of_one_image_are_refused():
    with pytest.raises(ValueError, match="at least 20"):
        EPENAS(task(), batch_size=19)
    EPENAS(task(), batch_size=20)
