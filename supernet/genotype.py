"""What a search found, as a file that carries everything needed to train it and to repeat the search.

A genotype may come from somebody else: it is read as data. Nothing in it is evaluated, imported or called.
"""

from __future__ import annotations

import difflib
import json
import math
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from search_spaces import published
from supernet.errors import UserError
from supernet.files import write_atomically

FILE = "genotype.json"
FORMAT = 1
LARGEST = 4 * 2**20  # bytes; ours have a few thousand
NAME = re.compile(r"[A-Za-z][\w-]{0,63}")  # what may be meant for the name of a published architecture


@dataclass(frozen=True)
class Genotype:
    """An architecture and where it comes from.

    Attributes:
        search_space: the name of the search space's configuration file.
        architecture: the space's own text for it.
        arguments: the constructor arguments of the space that was searched.
        metrics: what was measured at the end of the search; in the file null stands for what is not finite.
        choices: which file of each configuration group was used.
        versions: of Python and of the packages.
        git_revision: of this framework's checkout, None in an installed copy.
        config: the whole configuration of the search.
    """

    search_space: str
    architecture: str
    arguments: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    git_revision: str | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Write ``genotype.json`` in this folder, atomically."""
        path = folder / FILE
        content = _finite({"format": FORMAT, **asdict(self)})
        write_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Genotype:
        """Read a ``genotype.json`` or the one in a run folder. Raises `UserError` that says what is wrong with it."""
        if path.is_dir():
            if not (path / FILE).is_file():
                raise UserError(f"{path} has no {FILE}: the search did not end; go on with: search.py resume={path}")
            path = path / FILE
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has {path.stat().st_size:,} bytes: that is no genotype")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is no genotype: {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise UserError(f"{path} is no genotype of format {FORMAT}, the one this version reads")
        kinds = {
            "search_space": str, "architecture": str, "arguments": dict, "metrics": dict, "choices": dict,
            "versions": dict, "git_revision": (str, type(None)), "config": dict,
        }  # fmt: skip
        for name, kind in kinds.items():
            if not isinstance(content.get(name), kind):  # type: ignore[arg-type]
                raise UserError(f"{path} is no genotype: {name!r} is missing or of the wrong type")
        content["metrics"] = numbers(content["metrics"])
        return cls(**{f.name: content[f.name] for f in fields(cls)})


def numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a file, with nan where it has null."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _finite(content: Any) -> Any:
    """The same with None for numbers that are not finite, which JSON does not have."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def resolve(text: str) -> Genotype | str:
    """What ``genotype=`` means.

    A run folder or a genotype file is loaded, a published architecture is found by its name, and anything else is
    returned as it is: the text of an architecture. Raises `UserError` for what can be none of these.
    """
    if not text.strip():
        raise UserError("genotype= is empty: give a published name, a run folder, a genotype.json or an architecture")
    known = published.DARTS.get(text)
    try:
        path = Path(text).expanduser()
        if path.exists() and (known is None or (path / FILE).is_file()):
            if known is not None:
                raise UserError(
                    f"genotype={text} is a run folder here, and a published name: use ./{text} for the folder"
                )
            return Genotype.load(path)
    except (OSError, RuntimeError):  # too long for a path, or the home of nobody: it is no path
        pass
    if known is not None:
        return Genotype("darts", known)
    if "/" in text or text.endswith(".json"):
        raise UserError(f"genotype={text}: there is no such file or folder")
    if set(text.split(",")) <= set(published.DARTS):
        raise UserError(f"genotype={text}: to train one after the other, add -m")
    if NAME.fullmatch(text):
        near = difflib.get_close_matches(text.lower(), published.DARTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(published.DARTS)}"
        raise UserError(f"genotype={text}: there is no such published architecture, file or folder; {hint}")
    return text


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    names = ("supernet", "torch", "torchvision", "pytorch-lightning", "hydra-core", "numpy")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # used from a folder on the path, not installed
            found[name] = "unknown"
    return found


def git_revision() -> str | None:
    """The commit of the checkout this file lies in, with ``+`` where it has changes; None outside a checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+" if changes.stdout.strip() else "")
