import pytest
import torch

from supernet.data.normalisation import channel_statistics, normalisation
from supernet.data.pixels import InMemory
from supernet.errors import UserError

IMAGES = torch.randint(0, 256, (1201, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
IMAGES[:, 1] //= 4


def test_statistics_are_those_of_all_pixels() -> None:
    mean, std = channel_statistics(InMemory(IMAGES))
    values = IMAGES.double().div(255).transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean, values.mean(1))
    torch.testing.assert_close(std, values.std(1, correction=0))


def test_a_constant_channel_gets_one_grey_level() -> None:
    _, std = channel_statistics(InMemory(torch.full((4, 1, 3, 3), 9, dtype=torch.uint8)))
    assert std.tolist() == [pytest.approx(1 / 255)]


def test_what_is_given_is_taken_and_the_rest_measured() -> None:
    mean, std = normalisation(InMemory(IMAGES), [0.1, 0.2, 0.3], None)
    assert mean.tolist() == pytest.approx([0.1, 0.2, 0.3])
    torch.testing.assert_close(std.double(), channel_statistics(InMemory(IMAGES))[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5], None, "data.mean has length 1, .* 3"),
        (None, [1, 2], "data.std has length 2"),
        (None, [1, 0, 1], "above 0"),
    ],
)
def test_values_that_do_not_fit_are_refused(mean: list[float] | None, std: list[float] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        normalisation(InMemory(IMAGES), mean, std)
