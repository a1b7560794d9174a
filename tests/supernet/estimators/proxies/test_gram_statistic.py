from dataclasses import replace

import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.estimators.proxies.class_contrast import ClassContrast
from supernet.estimators.proxies.effective_dimension import EffectiveDimension
from supernet.estimators.proxies.gram_statistic import of_classes, same_class
from supernet.estimators.proxies.grams import frozen_statistics, layer_grams
from supernet.estimators.proxies.sample_gradients import logit_sums
from supernet.samples import Samples
from tests.supernet.estimators.tasks import SMALL, network, task

MANY = NASBench201(channels=4, cells_per_stage=1, num_classes=50)


def test_statistics_come_from_all_images_and_gradients_from_the_first():
    made, images = EffectiveDimension(task(), batch_size=12, gram_batch=8), task().samples.batch(12)[0]
    found = made.grams(network(seed=1), images, logit_sums)
    same = network(seed=1)
    frozen_statistics(same, images)
    for ours, expected in zip(found, layer_grams(same, images[:8], logit_sums), strict=True):
        assert ours.shape == (8, 8)
        torch.testing.assert_close(ours, expected)
    assert EffectiveDimension(task(), batch_size=10, gram_batch=40).gram_batch == 10


def test_with_many_classes_those_that_use_labels_look_at_several_images_of_a_few():
    some = task(MANY)
    labels = ClassContrast(some, batch_size=12, gram_batch=12).batch(0)[1]
    assert labels.bincount().tolist() == [4, 4, 4]
    assert len(EffectiveDimension(some, batch_size=15, gram_batch=12).batch(0)[1].unique()) == 15
    ten = task(SMALL)
    assert of_classes(ten.samples, 10) is ten.samples


def test_images_of_some_classes_keep_their_labels():
    some = task(MANY)
    few = of_classes(some.samples, 3)
    images, labels = few.batch(9)
    for image, label in zip(images, labels, strict=True):
        (position,) = (some.samples.load(torch.arange(200)) == image).flatten(1).all(dim=1).nonzero().flatten()
        assert some.samples.labels[position] == label


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="gram_batch is 7: it must be a whole number, at least 8"):
        ClassContrast(task(), gram_batch=7)
    with pytest.raises(ValueError, match="batch_size is 60, but the classes looked at have 40 images"):
        ClassContrast(task(MANY), batch_size=60, gram_batch=40)


def test_classes_that_cannot_be_compared_are_refused():
    torch.testing.assert_close(
        same_class(torch.tensor([0, 1, 0])).int(), torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).int()
    )
    for labels in ([0, 1, 2], [1, 1, 1]):
        with pytest.raises(ValueError, match="the classes of 3 images cannot be compared"):
            same_class(torch.tensor(labels))
    with pytest.raises(ValueError, match=r"classes of 2 images cannot be compared.*a larger batch_size"):
        ClassContrast(task(), batch_size=2)
    assert EffectiveDimension(task(), batch_size=2).gram_batch == 2  # needs no classes
    one = Samples.of(torch.randn(20, 3, 8, 8), torch.zeros(20, dtype=torch.long), 10)
    with pytest.raises(ValueError, match="images of several classes"):
        ClassContrast(replace(task(), samples=one), batch_size=12)
