"""From a data set to the few images that training-free scores look at."""

from __future__ import annotations

from supernet.data.images import Images
from supernet.samples import Samples


def samples(images: Images, seed: int) -> Samples:
    """Images of the training half, as networks see them without augmentation."""
    positions = images.positions("train")
    image = (images.channels, *images.size)
    return Samples(
        images.labels("train"), lambda chosen: images.plain(positions[chosen]), image, images.num_classes, seed
    )
