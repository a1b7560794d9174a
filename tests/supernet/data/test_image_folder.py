from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from supernet.data.image_folder import ImageFolder
from supernet.data.views import centre
from supernet.errors import UserError

RAW = {"mean": [0.0] * 3, "std": [1 / 255] * 3}


def fill(folder: Path, count: int, size: tuple[int, int] = (6, 8), grey: bool = False) -> None:
    """Write images of one colour each: red is the class, green the number."""
    for label, name in enumerate(("ant", "bee", "cat")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((*size, 3), (label, number, 0), dtype=np.uint8)
            Image.fromarray(pixels[..., 0] if grey else pixels).save(folder / name / f"{number:02}.png")


def colours(images: ImageFolder, split: Any) -> list[tuple[int, int, int]]:
    """(red, green, label) of each image of a split."""
    return [
        (round(float(image[0, 0, 0])), round(float(image[1, 0, 0])), int(label))
        for batch, labels in images.batches(split)
        for image, label in zip(batch, labels, strict=True)
    ]


def test_shape_and_classes_are_found_and_labels_belong_to_their_images(tmp_path: Path) -> None:
    fill(tmp_path / "train", 5)
    fill(tmp_path / "test", 2)
    images = ImageFolder(str(tmp_path), **RAW)
    assert (images.channels, images.size, images.classes) == (3, (6, 8), ("ant", "bee", "cat"))
    assert colours(images, "all") == [(label, number, label) for label in range(3) for number in range(5)]
    assert colours(images, "test") == [(label, number, label) for label in range(3) for number in range(2)]


def test_one_layer_of_folders_is_split_by_class_and_the_same_for_every_seed(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    one, other = (ImageFolder(str(tmp_path), seed=seed, **RAW) for seed in (0, 1))
    assert one.labels("test").tolist() == [0, 0, 1, 1, 2, 2]
    assert sorted(colours(one, "all") + colours(one, "test")) == [(a, n, a) for a in range(3) for n in range(10)]
    assert colours(one, "test") == colours(other, "test")  # no seed learns what another is tested on
    assert len(ImageFolder(str(tmp_path), test_fraction=0.5).labels("test")) == 15


def test_grey_files_give_one_channel_unless_asked_otherwise(tmp_path: Path) -> None:
    fill(tmp_path, 4, grey=True)
    assert ImageFolder(str(tmp_path)).channels == 1
    assert ImageFolder(str(tmp_path), channels=3).channels == 3
    Image.new("RGB", (8, 6)).save(tmp_path / "bee" / "coloured.png")
    assert ImageFolder(str(tmp_path)).channels == 3
    assert ImageFolder(str(tmp_path), channels=1).channels == 1


def test_files_of_different_sizes_need_a_size(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    Image.new("RGB", (30, 20)).save(tmp_path / "bee" / "large.png")
    with pytest.raises(UserError, match=r"ant.00\.png has 6 x 8 pixels, .*large\.png 20 x 30; .* data\.size=64"):
        ImageFolder(str(tmp_path))
    assert ImageFolder(str(tmp_path), size=5).size == (5, 5)
    assert ImageFolder(str(tmp_path), size=[4, 7]).size == (4, 7)


def test_a_streamed_set_gives_the_batches_of_a_kept_one(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    kept, streamed = (
        ImageFolder(str(tmp_path), memory_limit=limit, num_workers=0, batch_size=4, crop_padding=2, flip=True)
        for limit in (10**6, 0)
    )
    torch.testing.assert_close(kept.mean, streamed.mean)
    for one, other in zip(
        kept.batches("train", 3, shuffle=True, augment=True),
        streamed.batches("train", 3, shuffle=True, augment=True),
        strict=True,
    ):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_files_outside_a_chosen_subset_are_not_decoded(tmp_path: Path) -> None:
    fill(tmp_path / "train", 10)
    fill(tmp_path / "test", 1)
    chosen = ImageFolder(str(tmp_path), num_images=9, **RAW)
    wanted = {(red, green) for red, green, _ in colours(chosen, "all")}
    for label, name in enumerate(chosen.classes):
        for number in range(10):
            if (label, number) not in wanted:
                (tmp_path / "train" / name / f"{number:02}.png").write_bytes(b"damaged")
    assert colours(ImageFolder(str(tmp_path), num_images=9, size=[6, 8], channels=3, **RAW), "all") == colours(
        chosen, "all"
    )


def test_the_wrong_number_of_classes_is_told_before_anything_is_decoded(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    for path in tmp_path.glob("*/03.png"):
        path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"data\.num_classes=10, .* 3 classes \(ant, bee, cat\)"):
        ImageFolder(str(tmp_path), size=6, channels=3, num_classes=10)


@pytest.mark.parametrize(
    ("option", "value"),
    [("channels", 2), ("test_fraction", 1.0), ("memory_limit", -1), ("num_workers", -1), ("size", 0), ("seed", -1)],
)
def test_a_value_without_sense_is_refused_by_name(tmp_path: Path, option: str, value: Any) -> None:
    fill(tmp_path, 2)
    with pytest.raises(UserError, match=rf"data\.{option}={value}"):
        ImageFolder(str(tmp_path), **{option: value})


def photographs(folder: Path, count: int) -> None:
    """Write noise in files of different shapes."""
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (20 + number, 30 - number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")


def imagenet(root: Path, **options: Any) -> ImageFolder:
    """As ``conf/data/imagenet.yaml``, but small."""
    given: dict[str, Any] = {
        "size": 16, "channels": 3, "test_folder": "val", "random_area": [0.08, 1.0], "center": 0.875, "flip": True,
        "color_jitter": [0.4, 0.4, 0.4, 0.2], "num_workers": 0, "batch_size": 4, **RAW,
    }  # fmt: skip
    return ImageFolder(str(root), **given | options)


def epoch_of(images: ImageFolder, epoch: int, **how: Any) -> torch.Tensor:
    return torch.cat([batch for batch, _ in images.batches("all", epoch, augment=True, **how)])


def test_random_parts_and_colours_follow_from_seed_epoch_and_image(tmp_path: Path) -> None:
    photographs(tmp_path / "train", 6)
    photographs(tmp_path / "val", 3)
    images = imagenet(tmp_path)
    first = epoch_of(images, 0)
    assert first.shape == (12, 3, 16, 16)
    assert torch.equal(first, epoch_of(imagenet(tmp_path, num_workers=2), 0))
    for other in (epoch_of(images, 1), epoch_of(imagenet(tmp_path, seed=1), 0)):
        assert not (first == other).flatten(1).all(1).any()
    whole = list(images.batches("all", 3, shuffle=True, augment=True))
    rest = list(images.batches("all", 3, start=1, shuffle=True, augment=True))
    for (mine, label), (theirs, wanted) in zip(rest, whole[1:], strict=True):  # as after a resume
        assert torch.equal(mine, theirs)
        assert torch.equal(label, wanted)


def test_test_images_are_the_middle_of_their_files_in_every_epoch(tmp_path: Path) -> None:
    photographs(tmp_path / "train", 4)
    photographs(tmp_path / "val", 3)
    images = imagenet(tmp_path)
    batches = [next(images.batches("test", epoch))[0] for epoch in (0, 1)]
    assert torch.equal(*batches)
    with Image.open(tmp_path / "val" / "ant" / "00.png") as file:
        expected = torch.from_numpy(np.array(centre(file, (16, 16), 0.875))).permute(2, 0, 1)
    assert torch.equal(batches[0][0].round().to(torch.uint8), expected)
    unvaried = next(images.batches("all"))[0]  # the training set without augmentation is seen the same way
    assert torch.equal(unvaried, next(images.batches("all", 1))[0])


def test_a_test_set_that_is_split_off_is_not_varied(tmp_path: Path) -> None:
    photographs(tmp_path, 6)
    images = imagenet(tmp_path, test_fraction=0.5)
    seen, again = (torch.cat([batch for batch, _ in images.batches("test", e, augment=True)]) for e in (0, 1))
    assert not torch.equal(seen, again)  # flips are asked for
    images = imagenet(tmp_path, test_fraction=0.5, flip=False)
    seen, again = (torch.cat([batch for batch, _ in images.batches("test", e, augment=True)]) for e in (0, 1))
    assert torch.equal(seen, again)


@pytest.mark.parametrize("center", [0, 1.5, "all", True])
def test_a_centre_without_sense_is_refused_by_name(tmp_path: Path, center: Any) -> None:
    fill(tmp_path, 2)
    with pytest.raises(UserError, match=rf"data\.center={center}"):
        ImageFolder(str(tmp_path), center=center)
