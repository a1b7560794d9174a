import pytest
import torch

from search_spaces import operations
from search_spaces.nasbench201 import OPERATIONS
from tests.search_spaces.plain import plain_operation

NAMES = [name for name in OPERATIONS if name != "none"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [True, False])
def test_every_copy_is_spelled_out(name, weighted):
    """A parameter-free operation that returned one copy for many edges would drop edges silently."""
    operation = operations.build(name, copies=3, channels=4, affine=True)
    out = operation(torch.randn(2, 4, 5, 5), torch.rand(3) if weighted else None)
    assert out.shape == (2, 3, 4, 5, 5)


@pytest.mark.parametrize("name", NAMES)
def test_one_copy_equals_the_plain_operation_times_its_weight(name):
    operation = operations.build(name, copies=1, channels=4, affine=True).double()
    reference = plain_operation(name, channels=4, affine=True).double()
    for mine, theirs in zip(operation.parameters(), reference.parameters(), strict=True):
        theirs.data.copy_(mine)
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    out = operation(x.relu() if operation.takes_relu else x, torch.tensor([0.3], dtype=torch.float64))
    torch.testing.assert_close(out[:, 0], 0.3 * reference(x), rtol=1e-12, atol=1e-12)


def test_mixing_weights_do_not_raise_the_precision():
    for name in NAMES:
        operation = operations.build(name, copies=2, channels=4, affine=False)
        with torch.autocast("cpu", torch.bfloat16):
            assert operation(torch.randn(2, 4, 4, 4, dtype=torch.bfloat16), torch.rand(2)).dtype == torch.bfloat16, name


def test_an_unknown_operation_is_named():
    with pytest.raises(KeyError, match="nor_conv_9x9"):
        operations.build("nor_conv_9x9", 1, 4, affine=False)
