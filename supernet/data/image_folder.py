"""Anybody's images: a folder with one subfolder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from typing_extensions import Unpack

from supernet import seeds
from supernet.data.decoding import Decoder, read_header
from supernet.data.files import Files, default_workers, evenly
from supernet.data.images import TEST, Images, Labelled
from supernet.data.layout import Paths, layout
from supernet.data.options import FoundOptions, at_least, height_and_width
from supernet.data.stratified import others, stratified
from supernet.data.views import Views, views_for
from supernet.errors import UserError

HEADERS = 1000  # at most so many files are looked at to find size and channels


class ImageFolder(Images):
    """Image files in ``<root>/train/<class>/`` and ``<root>/test/<class>/``, or all in ``<root>/<class>/``.

    In the second layout, a share of each class becomes the test set. Hidden files, files without the suffix of an
    image format, and folders beside ``train`` and ``test`` are left out.

    Args:
        root: the folder.
        size: side in pixels, or (h, w): the shorter side is scaled and the centre kept; None where all files have one
            size. Only the headers of 1,000 files are looked at for that, but every other file is checked when decoded.
        channels: 1 or 3, files are converted; None for 1 where all files are grey, else 3.
        test_folder: the name of the test set's folder in the first layout.
        test_fraction: the test set's share in the second layout.
        random_area: train on random parts of the images: smallest and largest share of the area; None for whole images.
        color_jitter: train in random colours: changes of brightness, contrast, saturation and hue; None for none.
        center: of images that are not varied like that show only so much of each side, the middle of it.
        memory_limit: in bytes; a training or test set whose raw pixels take no more is decoded once and kept, a
            larger one, or one with random parts or colours, is decoded anew in every pass.
        num_workers: threads or processes that decode; None for one a processor, at most 8.
        options: see `Images`.

    Raises:
        UserError: where the folder is not laid out like that, or a file cannot be read.
    """

    def __init__(
        self,
        root: str,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        test_folder: str = "test",
        test_fraction: float = 0.2,
        random_area: Sequence[float] | None = None,
        color_jitter: Sequence[float] | None = None,
        center: float = 1.0,
        memory_limit: int = 2 * 1024**3,
        num_workers: int | None = None,
        **options: Unpack[FoundOptions],
    ) -> None:
        if channels not in (None, 1, 3):
            raise UserError(f"data.channels={channels}: use 1 (grey), 3 (colour) or null (as the files are)")
        if not 0 < test_fraction < 1:
            raise UserError(f"data.test_fraction={test_fraction}: it must lie between 0 and 1")
        if not isinstance(center, int | float) or isinstance(center, bool) or not 0 < center <= 1:
            raise UserError(f"data.center={center}: it must lie above 0 and be at most 1")
        at_least(0, memory_limit=memory_limit, seed=options.get("seed", 0))
        if num_workers is not None:
            at_least(0, num_workers=num_workers)
        shape = None if size is None else height_and_width(size)
        num_workers = default_workers() if num_workers is None else num_workers
        train, test = layout(Path(root).expanduser(), test_folder)
        decoder = decoder_for(flat(train) + flat(test or {}), shape, channels, center)
        random_views = views_for(decoder.size, random_area, color_jitter)

        def labelled(part: Paths, views: Views | None = None) -> Labelled:
            counts = torch.tensor([len(paths) for paths in part.values()])
            labels = torch.arange(len(part)).repeat_interleave(counts)
            return Labelled(Files(flat(part), decoder, memory_limit, num_workers, views), labels)

        everything = labelled(train, random_views)
        if test is None:
            count = len(everything.labels)
            seed = seeds.derive(0, TEST)  # the same test set for every seed: none may learn what another is tested on
            chosen = stratified(everything.labels, round(test_fraction * count), seed, least=1, left=1)
            parts = everything.take(others(chosen, count)), labelled(train).take(chosen)
        else:
            parts = everything, labelled(test)
        super().__init__(*parts, list(train), channels=channels, **options)


def flat(part: Paths) -> list[Path]:
    """All files, class by class."""
    return [path for paths in part.values() for path in paths]


def decoder_for(files: list[Path], size: tuple[int, int] | None, channels: int | None, center: float = 1.0) -> Decoder:
    """A decoder to the shape asked for, where None to the one that the files have.

    Raises `UserError` where no size is asked for and the files differ.
    """
    headers = {}
    if size is None or channels is None:
        headers = {files[position]: read_header(files[position]) for position in evenly(len(files), HEADERS)}
    if size is None:
        first, *rest = headers
        for path in rest:
            if headers[path].size != headers[first].size:
                (height, width), (other_height, other_width) = headers[first].size, headers[path].size
                raise UserError(
                    f"the images differ in size: {first} has {height} x {width} pixels, {path} {other_height} x "
                    f"{other_width}; choose one for all, for example data.size=64"
                )
    return Decoder(
        channels=channels or (1 if all(found.grey for found in headers.values()) else 3),
        size=size or headers[first].size,
        convert=channels is not None,
        resize=size is not None,
        center=center,
    )
