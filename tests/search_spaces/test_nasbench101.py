"""That it equals the plain operation is tested with all operations, in test_operations.py; here what is special."""

import torch

from search_spaces.nasbench101 import ConvBNReLU


def test_the_activation_comes_last_and_the_weight_after_it():
    operation = ConvBNReLU(2, 4, 6, 3, 1, affine=True)
    x = torch.randn(3, 4, 5, 5)
    out = operation(x, torch.tensor([-1.0, 2.0]))
    assert out.shape == (3, 2, 6, 5, 5)
    assert (out[:, 0] <= 0).all()
    assert (out[:, 1] >= 0).all()
    assert (out[:, 0] < 0).any()
    assert not operation.takes_relu
