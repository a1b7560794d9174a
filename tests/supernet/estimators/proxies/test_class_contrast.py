import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from supernet.estimators.proxies.class_contrast import ClassContrast, class_contrast
from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.layers import per_edge, weight_gradients
from tests.supernet.estimators.tasks import SMALL, network, task

LABELS = torch.tensor([0, 0, 1, 1])


def gram(*rows):
    gradients = torch.tensor(rows, dtype=torch.float64)
    return gradients @ gradients.T


def test_orthogonal_classes_give_one_and_opposite_images_less_whatever_their_size():
    apart = gram([1, 0], [5, 0], [0, 2], [0, 0.1])
    torch.testing.assert_close(class_contrast([apart], LABELS), torch.tensor(1.0, dtype=torch.float64))
    # Images of a class oppose each other: -1. Others: cosines 0. Two layers add up.
    opposed = gram([1, 0], [-1, 0], [0, 2], [0, -2])
    torch.testing.assert_close(class_contrast([opposed], LABELS), torch.tensor(-1.0, dtype=torch.float64))
    assert float(class_contrast([apart, opposed, apart], LABELS)) == pytest.approx(1.0)


def test_the_mean_over_pairs_is_worked_out():
    # Angles 0, 60, 90, 180 degrees: same class 0-60: 1/2, 90-180: 0; other classes 0, -1, cos 30, -1/2.
    half, high = 0.5, 3**0.5 / 2
    found = class_contrast([gram([1, 0], [half, high], [0, 1], [-1, 0])], LABELS)
    assert float(found) == pytest.approx(0.25 - (0 - 1 + high - half) / 4)


def test_a_layer_where_an_image_has_no_gradient_does_not_count():
    apart, missing = gram([1, 0], [5, 0], [0, 2], [0, 0.1]), gram([1, 0], [0, 0], [1, 0], [1, 0])
    assert float(class_contrast([missing, apart, 0 * apart], LABELS)) == pytest.approx(1.0)
    assert float(class_contrast([0 * apart], LABELS)) == 0


def test_it_is_that_of_cosines_between_gradients_of_single_images():
    made = ClassContrast(task(), batch_size=24, gram_batch=22)
    net, (images, labels) = network(seed=1).double(), task().samples.batch(24)
    images = images.double()
    ours = made.measure(network(seed=1).double(), images, labels)
    frozen_statistics(net, images)
    rows = []
    for index in range(22):
        loss = F.cross_entropy(net(images[index : index + 1]), labels[index : index + 1])
        rows.append([part.flatten().numpy() for part in per_edge(net, weight_gradients(loss, net))])
    expected = 0.0
    for gradients in zip(*rows, strict=True):
        if not all(np.any(gradient) for gradient in gradients):
            continue
        same, other = [], []
        for i in range(22):
            for j in range(i):
                cosine = gradients[i] @ gradients[j] / np.linalg.norm(gradients[i]) / np.linalg.norm(gradients[j])
                (same if labels[i] == labels[j] else other).append(cosine)
        expected += np.mean(same) - np.mean(other)
    assert ours == pytest.approx(expected, rel=1e-9)


def test_images_in_another_order_give_the_same():
    images, labels = task().samples.batch(24)
    order = torch.randperm(22, generator=torch.Generator().manual_seed(0))
    order = torch.cat([order, torch.tensor([22, 23])])
    made = ClassContrast(task(), batch_size=24, gram_batch=22)
    torch.manual_seed(0)
    nets = [SMALL.network(SMALL.sample(1, torch.Generator().manual_seed(5))[0]).double().train()]
    torch.manual_seed(0)
    nets.append(SMALL.network(SMALL.sample(1, torch.Generator().manual_seed(5))[0]).double().train())
    one = made.measure(nets[0], images.double(), labels)
    assert made.measure(nets[1], images.double()[order], labels[order]) == pytest.approx(one)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradients_that_are_not_finite_give_no_number(value):
    bad = torch.eye(4).double()
    bad[1, 1] = value
    assert class_contrast([bad], torch.tensor([0, 0, 1, 1])).isnan()
