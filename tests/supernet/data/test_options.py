import inspect
from typing import Any

import pytest

from supernet.data.images import Images
from supernet.data.options import FixedOptions, agree, at_least, height_and_width
from supernet.errors import UserError


def test_the_options_are_those_of_images() -> None:
    keywords = {
        name
        for name, parameter in inspect.signature(Images).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert keywords == FixedOptions.__optional_keys__


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "3"])
def test_what_is_no_whole_number_or_too_small_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match=r"data\.batch_size="):
        at_least(1, batch_size=value)


def test_a_size_is_one_number_or_two() -> None:
    assert height_and_width(5) == (5, 5)
    assert height_and_width([5, 6]) == (5, 6)


@pytest.mark.parametrize("size", [0, [3], [3, 4, 5], [3, -4], [3.5, 4]])
def test_another_size_is_refused(size: Any) -> None:
    with pytest.raises(UserError, match=r"data\.size="):
        height_and_width(size)


def test_a_disagreement_names_both_numbers_and_the_remedy() -> None:
    agree("num_classes", None, 10, "classes")
    agree("num_classes", 10, 10, "classes")
    with pytest.raises(UserError, match=r"data.num_classes=5, .* 10 classes; use data.num_classes=10"):
        agree("num_classes", 5, 10, "classes")
