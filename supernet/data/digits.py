"""Handwritten digits that come with scikit-learn: small enough to search on a laptop within minutes."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from typing_extensions import Unpack

from supernet.data.images import Images, Labelled
from supernet.data.options import FixedOptions
from supernet.data.pixels import InMemory
from supernet.data.stratified import others, stratified

TEST_FRACTION = 0.2
TEST_SEED = 0  # the test set is always the same
WHITE = 16  # the largest value in the file


class Digits(Images):
    """1,797 grey images of 8 x 8 pixels in 10 classes (Alpaydin and Kaynak, 1998, UCI), a fifth of them for the test.

    Which fifth is fixed, the same for every seed. Options: see `Images`.
    """

    def __init__(self, **options: Unpack[FixedOptions]) -> None:
        digits = load_digits()
        pixels = (torch.from_numpy(digits.images) * (255 / WHITE)).round().to(torch.uint8)[:, None]
        labels = torch.from_numpy(digits.target).long()
        everything = Labelled(InMemory(pixels), labels)
        test = stratified(labels, round(TEST_FRACTION * len(labels)), TEST_SEED)
        train = others(test, len(labels))
        classes = [str(name) for name in digits.target_names]
        super().__init__(everything.take(train), everything.take(test), classes, **options)
