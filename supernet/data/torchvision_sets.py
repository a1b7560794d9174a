"""The data sets of the literature, as torchvision reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torchvision import datasets
from typing_extensions import Unpack

from supernet.data.images import Images, Labelled
from supernet.data.options import FixedOptions, listed
from supernet.data.pixels import InMemory
from supernet.errors import UserError

Contents = tuple[Tensor, Tensor, list[str]]
"""Raw images ``(count, channels, h, w)``, labels ``(count,)``, and the names of the classes."""


def cifar10(root: Path, train: bool, download: bool) -> Contents:
    """50,000 and 10,000 coloured images of 32 x 32 pixels in 10 classes (Krizhevsky, 2009)."""
    data = datasets.CIFAR10(root, train=train, download=download)
    return torch.from_numpy(data.data).permute(0, 3, 1, 2), torch.tensor(data.targets), data.classes


def cifar100(root: Path, train: bool, download: bool) -> Contents:
    """50,000 and 10,000 coloured images of 32 x 32 pixels in 100 classes (Krizhevsky, 2009)."""
    data = datasets.CIFAR100(root, train=train, download=download)
    return torch.from_numpy(data.data).permute(0, 3, 1, 2), torch.tensor(data.targets), data.classes


def fashion_mnist(root: Path, train: bool, download: bool) -> Contents:
    """60,000 and 10,000 grey images of 28 x 28 pixels in 10 classes (Xiao et al., 2017, arXiv:1708.07747)."""
    data = datasets.FashionMNIST(root, train=train, download=download)
    return data.data[:, None], data.targets, data.classes


def svhn(root: Path, train: bool, download: bool) -> Contents:
    """73,257 and 26,032 coloured images of 32 x 32 pixels in 10 classes (Netzer et al., 2011)."""
    data = datasets.SVHN(root, split="train" if train else "test", download=download)
    return torch.from_numpy(data.data), torch.from_numpy(data.labels), [str(digit) for digit in range(10)]


READERS: dict[str, Callable[[Path, bool, bool], Contents]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "fashion_mnist": fashion_mnist,
    "svhn": svhn,
}


class TorchvisionImages(Images):
    """A data set of the literature with its own training and test set.

    Args:
        name: one of `READERS`.
        root: the folder torchvision keeps it in.
        download: fetch it into that folder if it is not there.
        options: see `Images`.

    Raises:
        UserError: where there is no such data set, or its files are missing or damaged.
    """

    def __init__(self, name: str, root: str, download: bool = False, **options: Unpack[FixedOptions]) -> None:
        if name not in READERS:
            raise UserError(f"data.name={name}: there is no such data set; use one of {listed(sorted(READERS))}")
        folder = Path(root).expanduser()
        try:
            train, test = (READERS[name](folder, part, download) for part in (True, False))
        except (RuntimeError, OSError) as error:  # what torchvision raises without files, and without a network
            remedy = "it could not be downloaded" if download else "fetch it with data.download=true"
            raise UserError(
                f"{name} is not in {folder.absolute()}, or it is damaged: {remedy}, or name the folder "
                f"that holds it with data.root=... ({error})"
            ) from error
        super().__init__(_labelled(train), _labelled(test), train[2], **options)


def _labelled(contents: Contents) -> Labelled:
    pixels, labels, _ = contents
    return Labelled(InMemory(pixels), labels.long())
