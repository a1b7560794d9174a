from typing import Any

import pytest
import torch
from torch import Tensor

from supernet.data.images import Images, Labelled, Split
from supernet.data.pixels import InMemory
from supernet.data.transforms import normalize
from supernet.errors import UserError

SIZES = (60, 30, 13)  # training images of each class


def images(sizes: tuple[int, ...] = SIZES, **options: Any) -> Images:
    """Images that are all different: the first two pixels hold the position."""

    def labelled(labels: Tensor) -> Labelled:
        pixels = torch.randint(0, 256, (len(labels), 1, 4, 5), generator=torch.Generator().manual_seed(0))
        pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(len(labels)) // 256, torch.arange(len(labels)) % 256
        return Labelled(InMemory(pixels.to(torch.uint8)), labels)

    train = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    classes = [f"class {label}" for label in range(len(sizes))]
    return Images(labelled(train), labelled(torch.arange(len(sizes)).repeat(9)), classes, **{"batch_size": 8} | options)


def seen(source: Images, split: Split, epoch: int = 0, **how: bool) -> list[int]:
    """Positions of the images in the order in which they come."""
    order = []
    for batch, _ in source.batches(split, epoch, **how):
        levels = (batch * source.std[:, None, None] + source.mean[:, None, None]).mul(255).round().long()
        order += (levels[:, 0, 0, 0] * 256 + levels[:, 0, 0, 1]).tolist()
    return order


def test_the_facts_are_known_before_any_pass() -> None:
    source = images()
    assert (source.channels, source.size, source.num_classes) == (1, (4, 5), 3)
    assert source.classes == ("class 0", "class 1", "class 2")


def test_the_halves_are_disjoint_and_together_the_training_set() -> None:
    source = images()
    train, valid = source.positions("train"), source.positions("valid")
    assert torch.equal(torch.cat([train, valid]).sort().values, source.positions("all"))
    assert len(source.positions("test")) == 27


@pytest.mark.parametrize(("fraction", "expected"), [(0.5, [30, 15, 7]), (0.2, [12, 6, 3]), (0.001, [1, 1, 1])])
def test_the_halves_have_the_classes_in_proportion(fraction: float, expected: list[int]) -> None:
    counts = images(valid_fraction=fraction).labels("valid").bincount().tolist()
    assert all(abs(count - share) <= 1 for count, share in zip(counts, expected, strict=True))
    assert min(counts) >= 1


def test_the_halves_follow_from_the_seed() -> None:
    one, again, other = (images(seed=seed).positions("valid") for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_other_generators_do_not_matter_and_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = seen(images(), "train", shuffle=True)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert seen(images(), "train", shuffle=True) == one


@pytest.mark.parametrize("split", ["train", "valid", "all", "test"])
def test_a_pass_gives_every_image_of_the_split_once_with_its_label(split: Split) -> None:
    source = images()
    positions = source.positions(split)
    assert seen(source, split) == positions.tolist()
    shuffled = seen(source, split, shuffle=True)
    assert shuffled != positions.tolist()
    assert sorted(shuffled) == positions.tolist()
    labels = torch.cat([labels for _, labels in source.batches(split, shuffle=True)])
    whole = source.labels("test" if split == "test" else "all")
    assert torch.equal(labels, whole[shuffled])


def test_only_what_fills_a_batch_comes_without_the_last() -> None:
    source = images(batch_size=10)
    sizes = [len(labels) for _, labels in source.batches("all", drop_last=True)]
    assert sizes == [10] * 10
    assert [len(labels) for _, labels in source.batches("all")] == [10] * 10 + [3]
    assert len(source.loader("all", drop_last=True)) == 10
    assert len(source.loader("all")) == 11


def test_order_and_augmentation_differ_between_epochs_splits_and_seeds() -> None:
    source = images(crop_padding=1, flip=True)
    assert seen(source, "all", 1, shuffle=True) == seen(source, "all", 1, shuffle=True)
    orders = [seen(images(seed=seed), "all", epoch, shuffle=True) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 6
    first = [next(source.batches("all", epoch, augment=True))[0] for epoch in (0, 0, 1)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_the_two_halves_are_not_shuffled_alike() -> None:
    source = images((40, 40))
    ranks = [torch.tensor(seen(source, half, shuffle=True)).argsort() for half in ("train", "valid")]
    assert not torch.equal(*ranks)


def test_without_augmentation_images_are_only_normalised() -> None:
    source = images(crop_padding=1, flip=True, cutout=2)
    raw = source._train.pixels.images[:8]  # type: ignore[attr-defined]
    assert torch.equal(next(source.batches("all"))[0], normalize(raw, source.mean, source.std))
    assert not torch.equal(next(source.batches("all", augment=True))[0], normalize(raw, source.mean, source.std))


@pytest.mark.parametrize(("option", "value"), [("crop_padding", 1), ("flip", True), ("cutout", 2)])
def test_each_option_of_augmentation_has_an_effect(option: str, value: Any) -> None:
    plain, varied = (next(images(**given).batches("all", augment=True))[0] for given in ({}, {option: value}))
    assert not torch.equal(plain, varied)


def test_measured_normalisation_gives_mean_0_and_deviation_1() -> None:
    everything = torch.cat([batch for batch, _ in images().batches("all")])
    assert everything.mean().item() == pytest.approx(0, abs=1e-5)
    assert everything.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_given_normalisation_is_used() -> None:
    source = images(mean=[0.0], std=[1 / 255])
    assert next(source.batches("all"))[0][0, 0, 0, 1] == 0  # position 0
    assert next(source.batches("all"))[0][5, 0, 0, 1] == pytest.approx(5, abs=1e-4)


def test_a_pass_can_start_anywhere() -> None:
    source = images(crop_padding=1, flip=True)
    whole = list(source.batches("all", 3, shuffle=True, augment=True))
    rest = list(source.batches("all", 3, 4, shuffle=True, augment=True))
    assert len(rest) == len(whole) - 4
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(whole[4:], rest, strict=True))
    assert list(source.batches("all", 3, len(whole))) == []


def test_fewer_images_are_a_stratified_choice_by_the_seed() -> None:
    small = images(num_images=31)
    assert small.labels("all").bincount().tolist() == [18, 9, 4]
    assert len(small.positions("train")) + len(small.positions("valid")) == 31
    assert len(small.positions("test")) == 27
    one, again, other = (seen(images(num_images=31, seed=seed, mean=[0], std=[1]), "all") for seed in (0, 0, 1))
    assert one == again != other


@pytest.mark.parametrize("number", [5, 104, 0, -3])
def test_a_number_of_images_that_cannot_be_had_is_refused(number: int) -> None:
    with pytest.raises(UserError, match=f"data.num_images={number}: .* between 6 .* 103"):
        images(num_images=number)


def test_the_wrong_number_of_classes_or_channels_is_refused_with_both_numbers() -> None:
    with pytest.raises(UserError, match=r"data.num_classes=10, .* 3 classes \(class 0, .*\); use data.num_classes=3"):
        images(num_classes=10)
    with pytest.raises(UserError, match=r"data.channels=3, .* 1 channels; use data.channels=1"):
        images(channels=3)
    assert images(num_classes=3, channels=1).num_classes == 3


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 0),
        ("seed", -1),
        ("crop_padding", -1),
        ("cutout", -2),
        ("valid_fraction", 0),
        ("valid_fraction", 1),
    ],
)
def test_a_value_without_sense_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"data.{option}={value}"):
        images(**{option: value})


def test_a_batch_larger_than_a_half_is_refused_with_the_remedy() -> None:
    source = images(batch_size=60)
    with pytest.raises(UserError, match=r"'train' of the training set has 5. images; use data.batch_size=5. or less"):
        source.loader("train", drop_last=True)
    assert len(source.loader("train")) == 1
    assert len(source.loader("all", drop_last=True)) == 1


def test_a_class_with_a_single_image_cannot_be_in_both_halves_but_can_be_trained_on() -> None:
    source = images((5, 1))
    assert len(source.positions("all")) == 6
    with pytest.raises(UserError, match=r"class 'class 1' has too few training images \(1\)"):
        source.positions("train")


def test_moved_images_give_batches_there() -> None:
    source = images()
    source.to("meta")  # a device every machine has
    batch, labels = next(source.batches("train", shuffle=True, augment=True))
    assert batch.is_meta
    assert labels.is_meta


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_a_gpu_are_those_on_the_cpu() -> None:
    here, there = images(crop_padding=1, flip=True, cutout=2), images(crop_padding=1, flip=True, cutout=2)
    there.to("cuda")
    for mine, other in zip(
        here.batches("train", 2, shuffle=True, augment=True),
        there.batches("train", 2, shuffle=True, augment=True),
        strict=True,
    ):
        assert other[0].device.type == other[1].device.type == "cuda"
        torch.testing.assert_close(mine, (other[0].cpu(), other[1].cpu()))


def test_only_an_augmented_pass_asks_for_other_views_and_for_others_in_each_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(InMemory, "varied", lambda self, seed: asked.append(seed) or self)
    source = images()
    next(source.batches("all", 0))
    assert asked == []
    for epoch in (0, 1, 0):
        next(source.batches("all", epoch, augment=True))
    assert asked[0] == asked[2] != asked[1]


def test_cutout_is_off_where_it_is_not_said() -> None:
    assert images(cutout=None).augmentation.cutout == 0
