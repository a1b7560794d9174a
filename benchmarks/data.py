"""Batches of a search: from memory, a whole batch at once, against a DataLoader that transforms image by image.

    OMP_NUM_THREADS=1 python -m benchmarks.data
    OMP_NUM_THREADS=1 python -m benchmarks.data --root /path/to/images   (train/<class>/*, test/<class>/*)

Both give one batch of each half, cropped, mirrored and normalised. The DataLoader has the same images in memory, as
torchvision has CIFAR-10, in this process, and its iterator is kept over the steps; published searches call
``next(iter(loader))`` with two workers in every step instead, which is measured too, by the clock. The others take
turns of some steps each, in processor time of one thread, and a ratio is the median of those of each turn. First,
batches are compared with torchvision's functions at the same crops. Last come files that do not fit in memory, which
workers decode in every pass: by the clock. Without ``--root`` images are random. The table is also written to a file.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.utilities import CombinedLoader
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms
from torchvision.transforms import functional

from benchmarks.measuring import heading, parser, publish, speed, timed
from supernet.data.image_folder import ImageFolder
from supernet.data.images import Images, Labelled
from supernet.data.pixels import InMemory

CPU = torch.device("cpu")
MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.244, 0.262)
PADDING = 4
STEPS = 20  # of each turn
OPTIONS: dict[str, Any] = {"crop_padding": PADDING, "flip": True, "mean": MEAN, "std": STD}
PIPELINE = transforms.Compose(
    [
        transforms.RandomCrop(32, padding=PADDING),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
)


class OneByOne(Dataset[tuple[Tensor, int]]):
    """One half of some images as torchvision has CIFAR-10: an array, of which each image becomes a picture."""

    def __init__(self, images: Images, half: Any) -> None:
        chosen = images.positions(half)
        self.data = images._train.pixels.take(chosen).images.permute(0, 2, 3, 1).contiguous().numpy()  # type: ignore[attr-defined]
        self.targets = images.labels(half).tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return PIPELINE(Image.fromarray(self.data[index])), self.targets[index]


def random_images(count: int, batch: int) -> Images:
    """As many as CIFAR-10 has, of its size."""
    pixels = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(count) % 10
    train, test = Labelled(InMemory(pixels), labels), Labelled(InMemory(pixels[:10]), labels[:10])
    return Images(train, test, [str(label) for label in range(10)], batch_size=batch, **OPTIONS)


def ours(images: Images) -> CombinedLoader:
    """What a search trains on (`supernet.data.modules.SearchData`), epoch after epoch."""
    epochs = itertools.count()
    how = {"shuffle": True, "augment": True, "drop_last": True}
    return CombinedLoader({half: images.loader(half, lambda: next(epochs), **how) for half in ("train", "valid")})  # type: ignore[arg-type]


def loaders(images: Images, workers: int = 0) -> list[DataLoader[Any]]:
    """A DataLoader of each half."""
    halves = (OneByOne(images, half) for half in ("train", "valid"))
    return [DataLoader(half, images.batch_size, shuffle=True, drop_last=True, num_workers=workers) for half in halves]


def difference(images: Images) -> float:
    """The largest difference between a batch and the same crops by torchvision's functions, image by image."""
    count = images.batch_size
    draws = images.augmentation.draw(count, images.size, torch.Generator().manual_seed(0))
    (raw,) = images._train.pixels.batches(torch.arange(count), count)
    expected = []
    for image, (top, left, flip, _, _) in zip(raw, draws.T.tolist(), strict=True):
        picture = functional.pad(Image.fromarray(image.permute(1, 2, 0).numpy()), [PADDING])
        picture = functional.crop(picture, top, left, *images.size)
        picture = functional.hflip(picture) if flip else picture
        expected.append(functional.normalize(functional.to_tensor(picture), MEAN, STD))
    found = images.augmentation(raw, draws, images.mean, images.std)
    return float((found - torch.stack(expected)).abs().max())


def endless(passes: Any) -> Iterator[Any]:
    """Pass after pass."""
    while True:
        yield from passes


def steps(*kept: Iterator[Any]) -> Callable[[], None]:
    """A turn of steps."""

    def turn() -> None:
        for _ in range(STEPS):
            for iterator in kept:
                next(iterator)

    return turn


def by_the_clock(step: Callable[[], object], repeats: int) -> float:
    """Median seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_memory(images: Images, repeats: int) -> list[str]:
    """The rows of what comes from memory: milliseconds a batch, and how many times as many as ours."""
    turns = {
        "DataLoader, kept": steps(*(endless(loader) for loader in loaders(images))),
        "ours": steps(endless(ours(images))),
    }
    times = timed(turns, repeats, CPU)
    own = statistics.median(times["ours"])
    found = {name: (statistics.median(values), speed(times, "ours", name)) for name, values in times.items()}
    pair = loaders(images, workers=2)
    anew = STEPS * by_the_clock(lambda: [next(iter(loader)) for loader in pair], max(3, repeats // 2))
    start = time.process_time()
    count = sum(1 for _ in ours(images))
    whole = STEPS * (time.process_time() - start) / count
    rows = {
        "`next(iter(loader))`, 2 workers (clock)": (anew, anew / own),
        **found,
        f"ours, a whole pass of {count} steps": (whole, whole / own),
    }
    return [
        f"| {name} | {1000 * seconds / (2 * STEPS):.2f} | {ratio:.4g}x |" for name, (seconds, ratio) in rows.items()
    ]


def from_files(root: Path, batch: int, workers: int, passes: int = 4) -> list[str]:
    """The rows of what is decoded in every pass, by the clock: to the first batch of a pass, and for each of it."""
    folder = datasets.ImageFolder(str(root / "train"), PIPELINE)
    images = ImageFolder(str(root), batch_size=batch, memory_limit=0, num_workers=workers, **OPTIONS)
    own = images.loader("all", shuffle=True, augment=True, drop_last=True)
    usual = {"shuffle": True, "drop_last": True, "num_workers": workers}
    kinds = {
        "DataLoader": DataLoader(folder, batch, **usual),
        "DataLoader, persistent workers": DataLoader(folder, batch, **usual, persistent_workers=True),
        "ours": own,
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for number in range(passes):
        for name, loader in kinds.items():
            start = time.perf_counter()
            iterator = iter(loader)
            next(iterator)
            first = time.perf_counter() - start
            count = 1 + sum(1 for _ in iterator)
            if number:  # the first pass starts the workers in any case
                found[name].append((first, (time.perf_counter() - start) / count))
    rows = []
    for name, values in found.items():
        first, each = (1000 * statistics.median(column) for column in zip(*values, strict=True))
        rows.append(f"| {name} | {first:.0f} | {each:.1f} |")
    return rows


def written(folder: Path, count: int) -> Path:
    """Random pictures in files of two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    for part, amount in (("train", count), ("test", 4)):
        for label in "ab":
            (folder / part / label).mkdir(parents=True)
        for number in range(amount):
            Image.fromarray(pixels[number]).save(folder / part / "ab"[number % 2] / f"{number}.jpg")
    return folder


def report(args: argparse.Namespace) -> str:
    """Measure; a table in Markdown."""
    images = ImageFolder(str(args.root), batch_size=args.batch, **OPTIONS) if args.root else None
    images = images or random_images(args.images, args.batch)
    which = f"{len(images.labels('all')):,} {'real' if args.root else 'random'} images of 32x32 pixels"
    facts = f"batch {args.batch} of each half, {which}, {args.repeats} turns of {STEPS} steps."
    lines = [
        *heading("Batches", CPU, facts),
        f"* largest difference from torchvision's functions at the same crops: {difference(images):.0e}",
        "",
        "| from memory | ms a batch | of ours |",
        "|---|---|---|",
        *in_memory(images, args.repeats),
        "",
        f"| from files, {args.workers} workers, by the clock | ms to a pass's first batch | ms a batch |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        lines += from_files(written(Path(folder), args.files), args.batch, args.workers)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    made = parser(__doc__, images=50_000, batch=64, workers=2, repeats=7)
    made.add_argument("--root", type=Path, help="a folder of images of 32x32 pixels; random ones unless given")
    made.add_argument("--files", type=int, default=2_560, help="random ones, decoded in every pass")
    args = made.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    publish(report(args), "data_cpu")


if __name__ == "__main__":
    main()
