from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from supernet.data.views import Views, centre, views_for
from supernet.errors import UserError

JITTER = (0.4, 0.4, 0.4, 0.2)


def photograph(height: int = 40, width: int = 60, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height)).convert(mode)


@pytest.mark.parametrize("jitter", [None, JITTER])
def test_a_view_is_what_the_published_pipeline_draws_from_the_same_generator(jitter: tuple[float, ...] | None) -> None:
    image = photograph()
    steps = [transforms.RandomResizedCrop(24), *([transforms.ColorJitter(*jitter)] if jitter else [])]
    views = views_for((24, 24), (0.08, 1.0), jitter)
    assert views is not None
    for seed in range(8):
        torch.manual_seed(seed)
        expected = transforms.Compose(steps)(image)
        assert np.array_equal(np.asarray(views(image, seed)), np.asarray(expected))


def test_a_view_follows_from_its_seed_and_leaves_the_global_generator_alone() -> None:
    views, image = Views((16, 12), (0.2, 0.9), JITTER), photograph()
    before = torch.get_rng_state()
    one, again, other = (np.asarray(views(image, seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.shape == (16, 12, 3)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_view_of_the_whole_image_in_other_colours_keeps_its_size() -> None:
    assert Views((8, 8), None, JITTER)(photograph(), 0).size == (60, 40)
    assert Views((8, 8), (0.5, 1.0), JITTER)(photograph(mode="L"), 0).mode == "L"


def test_nothing_random_needs_no_views() -> None:
    assert views_for((8, 8), None, None) is None


@pytest.mark.parametrize("size", [(256, 256), (300, 400), (401, 299), (100, 130), (225, 224), (1000, 257)])
def test_the_centre_is_that_of_torchvisions_resize_and_crop(size: tuple[int, int]) -> None:
    image = photograph(*size)
    expected = transforms.CenterCrop(224)(transforms.Resize(256)(image))
    assert np.array_equal(np.asarray(centre(image, (224, 224), 0.875)), np.asarray(expected))


def test_the_centre_of_a_size_that_is_not_square_is_inside_the_image() -> None:
    white = Image.new("RGB", (90, 31), (255, 255, 255))
    for size in ((20, 30), (30, 20), (50, 10)):
        found = np.asarray(centre(white, size, 0.8))
        assert found.shape == (*size, 3)
        assert (found == 255).all()  # an edge would be black


@pytest.mark.parametrize(
    "area", [(0.0, 1.0), (0.5, 0.2), (0.5, 1.5), (0.5,), (0.1, 0.2, 0.3), ("a", 1), 0.5, (True, 1)]
)
def test_an_area_without_sense_is_refused_by_name(area: Sequence[float]) -> None:
    with pytest.raises(UserError, match=r"data\.random_area=.*data\.random_area=\[0\.08,1\.0\], or null"):
        views_for((8, 8), area, None)


@pytest.mark.parametrize("jitter", [(0.4, 0.4, 0.4), (-0.1, 0, 0, 0), (0, 0, 0, 0.6), ("a", 0, 0, 0), 0.4])
def test_a_jitter_without_sense_is_refused_by_name(jitter: Sequence[float]) -> None:
    with pytest.raises(UserError, match=r"data\.color_jitter=.*, or null"):
        views_for((8, 8), None, jitter)
