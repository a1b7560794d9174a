import pytest

from search_spaces.candidates import build
from search_spaces.operations import FactorizedReduce, Form, Identity

FORM = Form(affine=True)


def test_an_unknown_operation_is_named():
    with pytest.raises(KeyError, match="nor_conv_9x9"):
        build("nor_conv_9x9", 1, 4, 4, 1, FORM)


@pytest.mark.parametrize(
    "name", ["max_pool_3x3", "maxpool3x3", "sep_conv_5x5", "dil_conv_3x3", "noise", "skip_connect"]
)
def test_an_operation_that_keeps_the_width_refuses_to_change_it(name):
    with pytest.raises(ValueError, match=f"{name} keeps the number of channels, it cannot make 8 of 4"):
        build(name, 1, 4, 8, 1, FORM)


def test_a_skip_is_an_identity_unless_the_image_shrinks():
    assert isinstance(build("skip_connect", 1, 4, 4, 1, FORM), Identity)
    assert isinstance(build("skip_connect", 1, 4, 8, 2, FORM), FactorizedReduce)
    assert isinstance(build("identity", 1, 4, 4, 1, FORM), Identity)
    assert not isinstance(build("identity", 1, 4, 8, 1, FORM), Identity)
