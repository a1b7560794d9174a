"""Random views of an image, drawn while its file is decoded: a part of it at one size, in other colours.

As trained on ImageNet: a part of random area and shape (Szegedy et al., 2015, arXiv:1409.4842, section 6), and jitter
of brightness, contrast, saturation and hue (Howard, 2013, arXiv:1312.5402), as in torchvision and the DARTS code (Liu
et al., 2019, arXiv:1806.09055). A view needs the whole file, hence such images are never kept in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torchvision.transforms import v2

from supernet.errors import UserError


@dataclass(frozen=True)
class Views:
    """What differs between two views of an image.

    Attributes:
        size: (h, w) of a view.
        area: smallest and largest share of the image that a view shows; None for the whole image at its own size.
        jitter: largest changes of brightness, contrast and saturation, relative to 1, and of the hue, relative to the
            colour circle; None for none.
    """

    size: tuple[int, int]
    area: tuple[float, float] | None
    jitter: tuple[float, float, float, float] | None

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """One view, a function of the image and the seed; no generator is left changed."""
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: it would seed the generators of all GPUs as well.
            torch.default_generator.manual_seed(seed)
            if self.area is not None:
                image = v2.RandomResizedCrop(list(self.size), scale=self.area)(image)
            if self.jitter is not None:
                image = v2.ColorJitter(*self.jitter)(image)
        return image


def views_for(size: tuple[int, int], area: Sequence[float] | None, jitter: Sequence[float] | None) -> Views | None:
    """The views asked for, None where nothing is random. Raises `UserError` for values that make no sense."""
    if area is not None and not (_numbers(area, 2) and 0 < area[0] <= area[1] <= 1):
        raise UserError(
            f"data.random_area={_shown(area)}: give the smallest and the largest share of the image, above 0 and at "
            "most 1, as in data.random_area=[0.08,1.0], or null"
        )
    if jitter is not None and not (_numbers(jitter, 4) and min(jitter) >= 0 and jitter[3] <= 0.5):
        raise UserError(
            f"data.color_jitter={_shown(jitter)}: give the changes of brightness, contrast, saturation and hue, at "
            "least 0 and the last at most 0.5, as in data.color_jitter=[0.4,0.4,0.4,0.2], or null"
        )
    if area is None and jitter is None:
        return None
    return Views(
        size,
        None if area is None else (area[0], area[1]),
        None if jitter is None else (jitter[0], jitter[1], jitter[2], jitter[3]),
    )


def centre(image: Image.Image, size: tuple[int, int], share: float) -> Image.Image:
    """Scale an image so that it covers ``size / share``, and cut ``size`` (h, w) from its middle.

    For square sizes that is ``Resize(size / share)`` and ``CenterCrop(size)`` of torchvision: 256 and 224 for 0.875.
    """
    height, width = (round(side / share) for side in size)
    if height * image.width >= width * image.height:
        scaled = [height, int(height * image.width / image.height)]
    else:
        scaled = [int(width * image.height / image.width), width]
    return v2.functional.center_crop(v2.functional.resize(image, scaled), list(size))


def _numbers(values: Sequence[float], count: int) -> bool:
    given = list(values) if isinstance(values, Sequence) else []
    return len(given) == count and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given)


def _shown(values: Sequence[float]) -> str:
    return f"[{','.join(map(str, values))}]" if isinstance(values, Sequence) else str(values)
