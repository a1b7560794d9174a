"""The options that all kinds of images share, and how a value that makes no sense is refused."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from supernet.errors import UserError


class Options(TypedDict, total=False):
    """What every kind of images can be asked for; explained at `supernet.data.images.Images`."""

    batch_size: int
    valid_fraction: float
    seed: int
    crop_padding: int
    flip: bool
    cutout: int | None
    mean: Sequence[float] | None
    std: Sequence[float] | None


class FoundOptions(Options, total=False):
    """What images that exist already can be asked for in addition."""

    num_images: int | None
    num_classes: int | None


class FixedOptions(FoundOptions, total=False):
    """What images that cannot be converted can be asked for in addition."""

    channels: int | None


def at_least(least: int, **options: int) -> None:
    """Raise `UserError` for the first option that is no whole number or lies below ``least``."""
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f"data.{name}={value}: it must be a whole number, at least {least}")


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """(h, w) from one number for both or from the two; raises `UserError` for anything else."""
    values = (size, size) if isinstance(size, int) else tuple(size)
    if len(values) != 2 or not all(isinstance(value, int) and value > 0 for value in values):
        raise UserError(f"data.size={size}: give one number of pixels, data.size=64, or height and width, [64,48]")
    return values[0], values[1]


def agree(option: str, asked: int | None, found: int, what: str) -> None:
    """Raise `UserError` where a number was asked for and the images have another."""
    if asked is not None and asked != found:
        raise UserError(
            f"data.{option}={asked}, but the images have {found} {what}; "
            f"use data.{option}={found}, or data.{option}=null for what is found"
        )


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
