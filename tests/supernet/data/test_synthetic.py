from typing import Any

import pytest
import torch

from supernet.data.synthetic import Synthetic
from supernet.errors import UserError


def test_images_are_as_asked_for() -> None:
    images = Synthetic(num_classes=4, channels=2, size=[6, 9], num_images=41, num_test_images=13)
    assert (images.num_classes, images.channels, images.size) == (4, 2, (6, 9))
    assert images.labels("all").bincount().tolist() == [11, 10, 10, 10]
    assert len(images.labels("test")) == 13
    assert next(images.batches("all"))[0].shape == (41, 2, 6, 9)


def test_images_are_the_same_for_every_seed() -> None:
    one, other = (next(Synthetic(seed=seed).batches("test"))[0] for seed in (0, 1))
    assert torch.equal(one, other)


@pytest.mark.parametrize("size", [4, 8, 32])
def test_the_classes_can_be_learned_from_the_training_set(size: int) -> None:
    images = Synthetic(size=size, batch_size=2000)
    (train, labels), (test, answers) = next(images.batches("all")), next(images.batches("test"))
    means = torch.stack([train[labels == label].mean(0) for label in range(10)])
    guesses = torch.cdist(test.flatten(1), means.flatten(1)).argmin(1)
    assert (guesses == answers).float().mean() > 0.95


@pytest.mark.parametrize(
    ("option", "value"), [("num_classes", 1), ("channels", 0), ("size", 0), ("num_images", 19), ("num_test_images", 9)]
)
def test_what_cannot_be_made_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"data.{option}={value}"):
        Synthetic(**{option: value})
