"""Which files belong to which class: one subfolder a class."""

from __future__ import annotations

from pathlib import Path

from supernet.data.decoding import SUFFIXES
from supernet.data.options import listed
from supernet.errors import UserError

EXPECTED = "expected are <root>/train/<class>/* and <root>/test/<class>/*, or <root>/<class>/*"
NAMED = "data.test_folder=... names the folder of the test set"

Paths = dict[str, list[Path]]
"""The image files of each class, both in alphabetical order."""


def layout(root: Path, test_folder: str = "test") -> tuple[Paths, Paths | None]:
    """The files of the training and of the test set, the latter None where it is to be taken from the former.

    ``test_folder`` is the name of the test set's folder beside ``train``.

    Raises `UserError` where the folder is laid out in no way that is known.
    """
    if not root.is_dir():
        raise UserError(f"data.root={root}: there is no such folder; {EXPECTED}")
    given = {part: root / part for part in ("train", test_folder) if (root / part).is_dir()}
    if len(given) == 2:
        train, test = classes_in(given["train"]), classes_in(given[test_folder])
        if odd := sorted(train.keys() ^ test.keys()):
            part = test_folder if odd[0] in train else "train"
            raise UserError(
                f"{given[part]} has no class {odd[0]!r}; train and {test_folder} must have the same classes "
                f"({len(odd)} differ: {listed(odd)})"
            )
        return train, test
    for part, folder in given.items():  # a class may have that name, but then it has no subfolders
        if subfolders(folder):
            other = test_folder if part == "train" else "train"
            raise UserError(f"{root} has a folder {part!r}, but none named {other!r}; {EXPECTED}; {NAMED}")
    files = classes_in(root)
    for name, paths in files.items():
        if len(paths) < 2:
            raise UserError(f"{root / name} has one image, but training and test set need one each; add images to it")
    return files, None


def classes_in(folder: Path) -> Paths:
    """The image files in each subfolder. Raises `UserError` where there are none, or fewer than two subfolders."""
    found = {path.name: images_in(path) for path in subfolders(folder)}
    if len(found) < 2:
        number = "only one subfolder" if found else "no subfolders"
        raise UserError(f"{folder} has {number}, but each class needs its own; {EXPECTED}")
    for name, paths in found.items():
        if not paths:
            raise UserError(
                f"{folder / name} has no image files ({listed(sorted(SUFFIXES), 20)}); add some or remove it"
            )
    return found


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, in alphabetical order, hidden ones left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def images_in(folder: Path) -> list[Path]:
    """The image files in a folder, in alphabetical order, hidden ones left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
