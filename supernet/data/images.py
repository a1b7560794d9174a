"""A data set of labelled images: what it is, its splits, and its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from supernet import seeds
from supernet.data.loading import Batch, Loader, Part
from supernet.data.normalisation import normalisation
from supernet.data.options import agree, at_least, listed
from supernet.data.pixels import Pixels
from supernet.data.stratified import others, stratified
from supernet.data.transforms import Augmentation, normalize
from supernet.errors import UserError

Split = Literal["train", "valid", "all", "test"]
"""``all`` is the training set, ``train`` and ``valid`` are its disjoint halves; ``test`` is the test set."""

SPLITS: tuple[Split, ...] = get_args(Split)
HALVES, SUBSET, TEST, ORDER, AUGMENT, CONTENT, VIEW = range(100, 107)
"""What a seed is for: apart from the purposes in `supernet.seeds`."""


WHOLE = Part()


@dataclass(frozen=True)
class Labelled:
    """Images and their labels ``(images,)``, int64 on the CPU."""

    pixels: Pixels
    labels: Tensor

    def take(self, positions: Tensor) -> Labelled:
        """Those at these positions."""
        return Labelled(self.pixels.take(positions), self.labels[positions])


class Images:
    """Labelled images in a training and a test set, the former in two halves: one for the weights, one for the alphas.

    Everything random is a function of the seed, the split and the epoch, and is drawn on the CPU: batches are the same
    on every device, and after a resume the same as without one.

    Args:
        train: the training set.
        test: the test set.
        classes: names, in the order of the labels.
        batch_size: images in a batch; a search takes so many from each half.
        valid_fraction: the share of the training set that becomes the half ``valid``, chosen class by class.
        seed: determines subset, halves, order and augmentation.
        crop_padding: zeros on each side, in pixels, before the random crop; 0 for no crop.
        flip: mirror images at random.
        cutout: side of the blanked square in pixels; 0 or None for none.
        mean: of each channel, with white as 1; None to measure it on the training set.
        std: likewise.
        num_images: train with so many images only, chosen class by class; None for all.
        num_classes: refuse images with another number of classes; None for any.
        channels: refuse images with another number of channels; None for any.

    Attributes:
        classes: their names.
        channels: 1 for grey images, 3 for coloured ones.
        size: (h, w) of every image.
        part: what the loaders give of every pass, where several processes share it.
        dtype: of the batches.

    Raises:
        UserError: where a value makes no sense or does not fit the images.
    """

    def __init__(
        self,
        train: Labelled,
        test: Labelled,
        classes: Sequence[str],
        *,
        batch_size: int = 64,
        valid_fraction: float = 0.5,
        seed: int = 0,
        crop_padding: int = 0,
        flip: bool = False,
        cutout: int | None = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        num_images: int | None = None,
        num_classes: int | None = None,
        channels: int | None = None,
    ) -> None:
        at_least(1, batch_size=batch_size)
        cutout = cutout or 0
        at_least(0, seed=seed, crop_padding=crop_padding, cutout=cutout)
        if not 0 < valid_fraction < 1:
            raise UserError(f"data.valid_fraction={valid_fraction}: it must lie between 0 and 1")
        self.classes = tuple(classes)
        self.channels, height, width = train.pixels.shape
        self.size = (height, width)
        self.batch_size = batch_size
        self.valid_fraction = valid_fraction
        self.seed = seed
        self.augmentation = Augmentation(crop_padding, flip, cutout)
        self.device = torch.device("cpu")
        self.part = WHOLE
        self.dtype = torch.float32
        agree("num_classes", num_classes, self.num_classes, f"classes ({listed(self.classes)})")
        agree("channels", channels, self.channels, "channels")
        if num_images is not None:
            train = self._subset(train, num_images)
        self._train = Labelled(train.pixels.ready(), train.labels)
        self._test = Labelled(test.pixels.ready(), test.labels)
        self.mean, self.std = normalisation(self._train.pixels, mean, std)
        self.release()  # whoever decoded to measure is not needed again like that

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> None:
        """Give batches on this device from now on; images in memory move there once."""
        self.device = torch.device(device)
        self._train = Labelled(self._train.pixels.to(self.device), self._train.labels)
        self._test = Labelled(self._test.pixels.to(self.device), self._test.labels)

    def release(self) -> None:
        """End the processes that decode, if any; the next pass starts them anew."""
        self._train.pixels.release()
        self._test.pixels.release()

    def positions(self, split: Split) -> Tensor:
        """Which images of the training set (of the test set for ``test``) the split has, ascending.

        Raises `UserError` where a class has too few images to be in both halves.
        """
        if split in ("train", "valid"):
            return self._valid if split == "valid" else others(self._valid, len(self._train.labels))
        return torch.arange(len(self._set(split).labels))

    def labels(self, split: Split) -> Tensor:
        """The labels of the split ``(images,)``, int64 on the CPU, in the order of `positions`."""
        return self._set(split).labels[self.positions(split)]

    def plain(self, positions: Tensor) -> Tensor:
        """Images of the training set at these positions ``(images, channels, h, w)``, normalised, not augmented."""
        (raw,) = self._train.pixels.batches(positions, len(positions))
        return normalize(raw, self.mean.to(self.device), self.std.to(self.device))

    def batches(
        self,
        split: Split,
        epoch: int = 0,
        start: int = 0,
        *,
        shuffle: bool = False,
        augment: bool = False,
        drop_last: bool = False,
        part: Part = WHOLE,
    ) -> Iterator[Batch]:
        """One pass over a split, from its batch number ``start`` on; ``drop_last`` leaves out an incomplete batch.

        What processes take of a pass is together the whole of it. With ``drop_last``, in training, each takes its share
        of every batch; without, each takes whole batches in turn, as some networks are judged with the statistics of
        a batch.
        """
        source, order, size = self._set(split), self.positions(split), self.batch_size
        if shuffle:
            order = order[torch.randperm(len(order), generator=self._generator(ORDER, split, epoch))]
        draws = self.augmentation.draw(len(order), self.size, self._generator(AUGMENT, split, epoch))
        if drop_last:
            first, size = part.number * size // part.of, size // part.of
            taken = torch.arange(len(order) // self.batch_size * self.batch_size).view(-1, self.batch_size)
            taken = taken[start:, first : first + size].flatten()
        else:
            taken = torch.cat([torch.arange(0), *torch.arange(len(order)).split(size)[part.number :: part.of][start:]])
        order, draws = order[taken], draws[:, taken].to(self.device)
        labels, mean, std = (tensor.to(self.device) for tensor in (source.labels[order], self.mean, self.std))
        pixels = source.pixels.varied(self._seed(VIEW, split, epoch)) if augment else source.pixels
        for number, raw in enumerate(pixels.batches(order, size)):
            here = slice(number * size, (number + 1) * size)
            images = self.augmentation(raw, draws[:, here], mean, std) if augment else normalize(raw, mean, std)
            yield images.to(self.dtype), labels[here]

    def loader(
        self,
        split: Split,
        epoch: Callable[[], int] = lambda: 0,
        *,
        shuffle: bool = False,
        augment: bool = False,
        drop_last: bool = False,
    ) -> Loader:
        """Passes over a split, each as of the epoch that ``epoch()`` names when its first batch is asked for.

        Raises `UserError` where ``drop_last`` would leave no batch.
        """
        count = len(self.positions(split))
        if drop_last and count < self.batch_size:
            where = "the training set" if split == "all" else f"the half {split!r} of the training set"
            raise UserError(
                f"data.batch_size={self.batch_size}, but {where} has {count} images; "
                f"use data.batch_size={count} or less"
            )

        def batches(epoch: int, start: int) -> Iterator[Batch]:
            options = {"shuffle": shuffle, "augment": augment, "drop_last": drop_last}
            return self.batches(split, epoch, start, **options, part=self.part)

        def length() -> int:
            if drop_last:
                return count // self.batch_size
            whole = -(-count // self.batch_size)
            return len(range(self.part.number, whole, self.part.of))

        return Loader(batches, length, epoch)

    def share(self, part: Part) -> None:
        """Let the loaders give this part of every pass.

        Raises `UserError` where they cannot share a batch equally, or would not all have one to judge by.
        """
        if self.batch_size % part.of:
            raise UserError(f"batch_size={self.batch_size} cannot be shared by {part.of} processes; use a multiple")
        for split in ("valid", "test") if part.of > 1 else ():
            if (batches := -(-len(self.positions(split)) // self.batch_size)) < part.of:
                raise UserError(
                    f"the images of {split!r} are {batches} batches, fewer than the {part.of} processes; "
                    "use a smaller batch_size, or fewer processes"
                )
        self.part = part

    @cached_property
    def _valid(self) -> Tensor:
        labels = self._train.labels
        for name, count in zip(self.classes, labels.bincount(minlength=self.num_classes).tolist(), strict=True):
            if count < 2:
                raise UserError(
                    f"class {name!r} has too few training images ({count}): each half of the training set needs one; "
                    "add images to the class, or leave it out"
                )
        count = round(self.valid_fraction * len(labels))
        return stratified(labels, count, seeds.derive(self.seed, HALVES), least=1, left=1)

    def _subset(self, train: Labelled, count: int) -> Labelled:
        least = 2 * self.num_classes
        if not least <= count <= len(train.labels):
            raise UserError(
                f"data.num_images={count}: it must be between {least} (two a class) and {len(train.labels)} "
                "(the training set); data.num_images=null takes all"
            )
        return train.take(stratified(train.labels, count, seeds.derive(self.seed, SUBSET), least=2))

    def _set(self, split: Split) -> Labelled:
        return self._test if split == "test" else self._train

    def _generator(self, purpose: int, split: Split, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed(purpose, split, epoch))

    def _seed(self, purpose: int, split: Split, epoch: int) -> int:
        return seeds.derive(self.seed, purpose, SPLITS.index(split), epoch)
