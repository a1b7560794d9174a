import dataclasses

import pytest
import torch

from supernet.estimators.short_training import ShortTraining
from supernet.samples import Samples
from tests.supernet.estimators.tasks import SMALL, task

CONVOLUTIONS = SMALL.parse("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|nor_conv_3x3~2|")


def separable(count=120, flip=False):
    """Two classes that differ in brightness; ``flip`` changes the labels of the last fifth of the batches of 10."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    images = 0.3 * torch.randn(count, 3, 8, 8, generator=generator) + (2.0 * labels - 1)[:, None, None, None]
    some = dataclasses.replace(task(SMALL), samples=Samples.of(images, labels, 2))
    if flip:
        batch = some.samples.batch

        def flipped(size, number=0, device="cpu"):
            x, y = batch(size, number, device)
            return x, 1 - y if number >= 10 else y

        some.samples.batch = flipped
    return some


def test_what_is_easy_is_learnt_and_judged_on_images_that_did_not_train():
    """With the held-out labels the wrong way round everything is wrong: they were not trained on."""
    assert ShortTraining(separable(), 4, 10).measurements(CONVOLUTIONS) == (1.0,)
    assert ShortTraining(separable(flip=True), 4, 10, held_out=1 / 6).measurements(CONVOLUTIONS) == (0.0,)


def test_longer_training_and_the_learning_rate_matter():
    slow = ShortTraining(separable(), 1, 10, lr=1e-9).measurements(CONVOLUTIONS)[0]
    assert slow < 1.0


def test_it_is_a_function_of_the_architecture_and_the_seed():
    first = ShortTraining(task(seed=1), 1, 20)
    torch.rand(5)
    assert first.measurements(CONVOLUTIONS) == ShortTraining(task(seed=1), 1, 20).measurements(CONVOLUTIONS)


def test_what_cannot_learn_scores_minus_infinity():
    dead = SMALL.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert ShortTraining(task(), 1, 20).measurements(dead) == (-torch.inf,)


def test_all_images_but_the_held_out_train():
    made = ShortTraining(task(), 1, 20, held_out=0.2)  # 200 images
    assert (len(made.training), len(made.judging)) == (8, 2)
    assert set(made.training) | set(made.judging) == set(range(10))


@pytest.mark.parametrize(
    "settings", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"held_out": 1.0}, {"batch_size": 101}]
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ShortTraining(task(), **settings)
