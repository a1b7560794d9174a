import math

import pytest
import torch

from supernet.estimators.proxies.epe_nas import class_correlations

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


def test_many_classes_are_compared_in_pairs():
    rows = torch.cat([ORTHOGONAL, OPPOSITE] * 51)
    labels = torch.arange(102).repeat_interleave(2)
    difference = abs(2 * math.log(1e-5) - 2 * math.log(1 + 1e-5))
    # 51 classes of either kind: 51 * 51 unequal pairs, over 102 classes.
    assert float(class_correlations(rows, labels)) == pytest.approx(51 * 51 * difference / 102, rel=1e-6)
