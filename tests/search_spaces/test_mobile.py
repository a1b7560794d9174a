"""That they equal the plain blocks is tested with all operations, in test_operations.py; here what is special."""

import pytest
import torch
from torch import nn

from search_spaces.mobile import ConvBN, MobileBlock


@pytest.mark.parametrize(("wider", "stride", "added"), [(4, 1, True), (8, 1, False), (4, 2, False), (8, 2, False)])
def test_the_input_is_added_where_nothing_changes_its_shape(wider, stride, added):
    block = MobileBlock(2, 4, wider, 5, 6, stride, affine=True).eval()
    nn.init.zeros_(block.norm.weight)
    x = torch.randn(2, 4, 6, 6)
    out = block(x, torch.tensor([1.0, 3.0]))
    assert out.shape == (2, 2, wider, 6 // stride, 6 // stride)
    assert torch.equal(out, torch.stack([x, 3 * x], dim=1) if added else torch.zeros_like(out))


@pytest.mark.parametrize(
    ("kernel", "expansion", "count"), [(3, 3, 4 * 12 + 9 * 12 + 12 * 8), (5, 6, 4 * 24 + 25 * 24 + 24 * 8)]
)
def test_the_block_has_three_convolutions(kernel, expansion, count):
    block = MobileBlock(1, 4, 8, kernel, expansion, 2, affine=False)
    assert sum(parameter.numel() for parameter in block.parameters()) == count


def test_the_wider_identity_has_no_activation():
    out = ConvBN(1, 4, 8, 2, affine=True)(torch.randn(3, 4, 5, 5))
    assert out.shape == (3, 1, 8, 3, 3)
    assert (out < 0).any()
