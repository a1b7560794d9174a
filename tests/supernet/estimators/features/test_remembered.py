import numpy as np
import torch

from supernet.estimators.features.base import Features
from supernet.estimators.features.remembered import Remembered
from tests.supernet.estimators.tasks import SMALL


class Asked(Features):
    names = ("first", "last")
    costly = True

    def __init__(self) -> None:
        self.asked: list = []

    def table(self, architectures):
        self.asked += architectures
        return np.array([[one["cell"][0], one["cell"][-1]] for one in architectures], dtype=np.float64)


def test_rows_are_the_same_and_found_once():
    asked, architectures = Asked(), SMALL.sample(6, torch.Generator().manual_seed(0))
    features = Remembered(asked)
    assert (features.names, features.costly) == (("first", "last"), True)
    expected = Asked().table(architectures)
    assert (features.table(architectures[:4]) == expected[:4]).all()
    assert (features.table(architectures[::-1]) == expected[::-1]).all()
    assert len(asked.asked) == len(set(architectures))
    assert features.table([]).shape == (0, 2)
