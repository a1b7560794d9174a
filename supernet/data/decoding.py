"""From an image file to raw pixels: which formats, which size, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from supernet.data.views import centre
from supernet.errors import UserError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Formats that Pillow reads by itself. No other is ever opened: EPS, say, would start Ghostscript."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
GREY = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L"})
DEEP = frozenset({"I;16", "I;16B", "I;16L"})  # 16 bits a pixel
TOO_DEEP = frozenset({"I", "F"})  # 32 bits, without a known range


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its size (h, w), and whether it is grey."""

    size: tuple[int, int]
    grey: bool


@dataclass(frozen=True)
class Decoder:
    """Turns files into images of one shape.

    Attributes:
        channels: 1 for grey, 3 for colour.
        size: (h, w).
        convert: turn colour into grey where ``channels`` is 1; otherwise a coloured file is an error then.
        resize: scale the shorter side and crop the centre; otherwise a file of another size is an error.
        center: show only so much of each side, the middle of it.
    """

    channels: int
    size: tuple[int, int]
    convert: bool
    resize: bool
    center: float = 1.0

    def __call__(self, path: Path, view: Callable[[Image.Image], Image.Image] | None = None) -> Tensor:
        """The image, uint8 ``(channels, h, w)``, of a view where one is asked for.

        Raises `UserError`, with the file's name, where it cannot be had.
        """
        with opened(path) as image:
            self._check(path, header(image))
            height, width = self.size
            mode = "L" if self.channels == 1 else "RGB"
            if image.mode in DEEP:
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if view is None and self.center == 1:
                image.draft(mode, (width, height))  # a JPEG file is decoded at no more than twice the size needed
            image = image.convert(mode)
            if view is not None:
                image = view(image)
            elif self.center < 1:
                image = centre(image, self.size, self.center)
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height))
            pixels = torch.from_numpy(np.array(image))
        return pixels[None] if self.channels == 1 else pixels.permute(2, 0, 1)

    def _check(self, path: Path, found: Header) -> None:
        if self.channels == 1 and not found.grey and not self.convert:
            raise UserError(f"{path} is in colour, but others are grey; use data.channels=3 (or 1) for all")
        if found.size != self.size and not self.resize:
            height, width = self.size
            raise UserError(
                f"{path} has {found.size[0]} x {found.size[1]} pixels, others {height} x {width}; "
                f"bring all to one size, for example with data.size={height}"
            )


def read_header(path: Path) -> Header:
    """Size and colour, without decoding. Raises `UserError`, with the file's name, where they cannot be had."""
    with opened(path) as image:
        return header(image)


def header(image: Image.Image) -> Header:
    """Size and colour of an open image."""
    return Header((image.height, image.width), image.mode in GREY)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever goes wrong with it, here or in the block, is a `UserError` that names the file."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise UserError(f"{path} is too large ({image.width} x {image.height} pixels); scale it down")
            if image.mode in TOO_DEEP:
                raise UserError(f"{path} has 32 bits a pixel; convert it to 8 bits")
            yield image
    except UserError:
        raise
    except Exception as error:  # Pillow raises nearly anything for a damaged file
        reason = str(error).removesuffix(f" {str(path)!r}")
        raise UserError(f"{path} cannot be read ({reason}); replace or remove it") from error
