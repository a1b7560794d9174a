"""Images made from a seed, for tests and for measuring speed at any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from typing_extensions import Unpack

from supernet import seeds
from supernet.data.images import CONTENT, Images, Labelled
from supernet.data.options import Options, at_least, height_and_width
from supernet.data.pixels import InMemory

GREY, CONTRAST, NOISE = 128, 40, 40  # grey levels: the mean, and the deviations of the pattern and of the noise
COARSE = 4  # the pattern of a class is smooth: so many random values along each side


class Synthetic(Images):
    """Each class is a smooth random pattern; each image is the pattern of its class under white noise.

    The classes are as large as each other (to within one image), and a network learns them at once.

    Args:
        num_classes: at least 2.
        channels: of each image.
        size: side in pixels, or (h, w).
        num_images: in the training set; at least two a class.
        num_test_images: in the test set; at least one a class.
        options: see `Images`; the images are the same for every seed.
    """

    def __init__(
        self,
        num_classes: int = 10,
        channels: int = 3,
        size: int | Sequence[int] = 32,
        num_images: int = 1024,
        num_test_images: int = 256,
        **options: Unpack[Options],
    ) -> None:
        at_least(2, num_classes=num_classes)
        at_least(1, channels=channels)
        at_least(2 * num_classes, num_images=num_images)
        at_least(num_classes, num_test_images=num_test_images)
        at_least(0, seed=options.get("seed", 0))
        shape = height_and_width(size)
        generator = torch.Generator().manual_seed(seeds.derive(0, CONTENT))
        coarse = torch.randn(num_classes, channels, COARSE, COARSE, generator=generator)
        patterns = CONTRAST * F.interpolate(coarse, shape, mode="bilinear", align_corners=True)

        def draw(count: int) -> Labelled:
            labels = torch.arange(count) % num_classes
            images = patterns[labels].add_(GREY)
            images += NOISE * torch.randn(images.shape, generator=generator)
            return Labelled(InMemory(images.round_().clamp_(0, 255).to(torch.uint8)), labels)

        train, test = draw(num_images), draw(num_test_images)
        super().__init__(train, test, [str(label) for label in range(num_classes)], **options)
