import pytest
import torch
from torch import Tensor

from supernet.data.transforms import Augmentation, crop_and_flip, cut_out, normalize

MEAN = torch.tensor([0.2, 0.5, 0.7])
STD = torch.tensor([0.1, 0.3, 0.2])


def raw(count: int = 32, height: int = 9, width: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


def one_at_a_time(images: Tensor, draws: Tensor, padding: int, length: int) -> Tensor:
    """The published pipeline, image by image and pixel by pixel of the hole."""
    height, width = images.shape[-2:]
    done = []
    for image, (top, left, flip, y, x) in zip(images, draws.T.tolist(), strict=True):
        padded = torch.zeros(3, height + 2 * padding, width + 2 * padding)
        padded[:, padding : padding + height, padding : padding + width] = image
        window = padded[:, top : top + height, left : left + width]
        window = window.flip(2) if flip else window
        window = (window / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
        mask = torch.ones(height, width)
        mask[max(0, y - length // 2) : max(0, y + length // 2), max(0, x - length // 2) : max(0, x + length // 2)] = 0
        done.append(window * mask)
    return torch.stack(done)


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("length", [0, 2, 6, 16])
def test_a_batch_equals_the_published_pipeline_image_by_image(padding: int, flip: bool, length: int) -> None:
    images = raw()
    augmentation = Augmentation(padding, flip, length)
    draws = augmentation.draw(len(images), (9, 12), torch.Generator().manual_seed(2))
    torch.testing.assert_close(
        augmentation(images, draws, MEAN, STD), one_at_a_time(images, draws, padding, length), rtol=1e-5, atol=1e-6
    )


def test_the_padding_is_black_before_normalisation() -> None:
    images = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    corner = torch.tensor([[0], [0], [0], [0], [0]])
    result = Augmentation(crop_padding=1)(images, corner, MEAN, STD)
    torch.testing.assert_close(result[0, :, 0, 0], -MEAN / STD)
    torch.testing.assert_close(result[0, :, 1, 1], (1 - MEAN) / STD)


def test_an_image_depends_on_its_own_numbers_only() -> None:
    augmentation = Augmentation(2, True, 4)
    images = raw()
    draws = augmentation.draw(len(images), (9, 12), torch.Generator().manual_seed(3))
    other = augmentation.draw(len(images), (9, 12), torch.Generator().manual_seed(4))
    changed = draws.clone()
    changed[:, 5] = other[:, 5]
    before, after = (augmentation(images, numbers, MEAN, STD) for numbers in (draws, changed))
    same = (before == after).flatten(1).all(1)
    assert not same[5]
    assert same.sum() == len(images) - 1


def test_draws_are_uniform_over_their_ranges_and_independent_of_each_other() -> None:
    draws = Augmentation(2, True, 4).draw(20_000, (6, 3), torch.Generator().manual_seed(0))
    for numbers, high in zip(draws, (5, 5, 2, 6, 3), strict=True):
        shares = numbers.bincount() / len(numbers)
        assert len(shares) == high
        torch.testing.assert_close(shares, torch.full((high,), 1 / high), rtol=0, atol=0.015)
    assert torch.corrcoef(draws.float()).fill_diagonal_(0).abs().max() < 0.03


def test_what_is_off_draws_only_zeros() -> None:
    draws = Augmentation().draw(100, (6, 6), torch.Generator().manual_seed(0))
    assert not draws[:3].any()


def test_draws_follow_from_the_generator() -> None:
    augmentation = Augmentation(4, True, 8)
    one, again, other = (augmentation.draw(50, (8, 8), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_results_are_float32_in_channels_last_order() -> None:
    images = raw()
    draws = Augmentation(1, True, 2).draw(len(images), (9, 12), torch.Generator().manual_seed(0))
    for result in (normalize(images, MEAN, STD), Augmentation(1, True, 2)(images, draws, MEAN, STD)):
        assert result.dtype == torch.float32
        assert result.is_contiguous(memory_format=torch.channels_last)


def test_the_raw_images_are_left_as_they_are() -> None:
    images = raw()
    before = images.clone()
    augmentation = Augmentation(1, True, 4)
    augmentation(images, augmentation.draw(len(images), (9, 12), torch.Generator()), MEAN, STD)
    normalize(images, MEAN, STD)
    assert torch.equal(images, before)


def test_a_crop_from_the_middle_without_a_flip_changes_nothing() -> None:
    images, middle = raw(), torch.full((32,), 3)
    assert torch.equal(crop_and_flip(images, middle, middle, torch.zeros(32), 3), images)


def test_a_hole_has_its_full_side_inside_and_is_clipped_at_the_edge() -> None:
    holes = cut_out(torch.ones(3, 1, 10, 10), torch.tensor([5, 0, 9]), torch.tensor([5, 0, 5]), 4) == 0
    assert holes.flatten(1).sum(1).tolist() == [16, 4, 12]
    assert (cut_out(torch.ones(1, 1, 10, 10), torch.tensor([5]), torch.tensor([5]), 3) == 0).sum() == 9
