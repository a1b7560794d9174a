import numpy as np
import torch
from sklearn.datasets import load_digits

from supernet.data.digits import Digits


def test_every_image_is_in_one_of_the_two_sets_with_its_label() -> None:
    digits = Digits(mean=[0.0], std=[1.0], batch_size=2000)
    assert (digits.channels, digits.size, digits.num_classes) == (1, (8, 8), 10)
    (train, train_labels), (test, test_labels) = next(digits.batches("all")), next(digits.batches("test"))
    assert len(test) == round(0.2 * 1797)
    ours = np.concatenate([train.numpy(), test.numpy()])[:, 0].reshape(1797, 64) * 16
    ours = np.column_stack([ours.round(), np.concatenate([train_labels, test_labels])])
    original = load_digits()
    theirs = np.column_stack([original.data, original.target])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_the_test_set_is_stratified_and_the_same_for_every_seed() -> None:
    one, other = Digits(seed=0, mean=[0.0], std=[1.0]), Digits(seed=1, mean=[0.0], std=[1.0])
    assert one.labels("test").bincount().tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    for mine, theirs in zip(one.batches("test"), other.batches("test"), strict=True):
        assert torch.equal(mine[0], theirs[0])
        assert torch.equal(mine[1], theirs[1])
