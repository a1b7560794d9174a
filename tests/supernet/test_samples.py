import pytest
import torch

from supernet.samples import Samples

LABELS = torch.tensor([0] * 30 + [1] * 20 + [2] * 10)
IMAGES = torch.arange(60.0).reshape(60, 1, 1, 1).expand(-1, 3, 4, 5)


def samples(seed=0):
    return Samples.of(IMAGES, LABELS, 3, seed)


def test_classes_take_turns_for_as_long_as_they_have_images():
    _, labels = samples().batch(30)
    assert labels.bincount().tolist() == [10, 10, 10]
    _, rest = samples().batch(30, 1)
    assert rest.bincount().tolist() == [20, 10]


def test_batches_are_disjoint_and_come_round():
    batches = [samples().batch(20, number)[0][:, 0, 0, 0] for number in range(4)]
    assert torch.cat(batches[:3]).sort().values.tolist() == list(range(60))
    assert torch.equal(batches[3], batches[0])


def test_a_smaller_batch_is_the_beginning_of_a_larger_one():
    assert torch.equal(samples().batch(12)[0], samples().batch(30)[0][:12])


def test_images_keep_their_labels():
    images, labels = samples().batch(60)
    assert torch.equal(LABELS[images[:, 0, 0, 0].long()], labels)
    assert samples().image == (3, 4, 5)
    assert torch.equal(samples().positions(20, 4), samples().batch(20, 1)[0][:, 0, 0, 0].long())  # three batches fit


def test_another_seed_gives_another_order_and_the_same_seed_the_same():
    assert torch.equal(samples().batch(20)[0], samples().batch(20)[0])
    assert not torch.equal(samples(0).batch(20)[0], samples(1).batch(20)[0])


def test_too_large_a_batch_is_refused():
    with pytest.raises(ValueError, match="a batch of 61 images is asked for, but there are 60"):
        samples().batch(61)
