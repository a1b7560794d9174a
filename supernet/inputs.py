"""``inputs.json``: what an evaluation reads from outside its folder, so that it goes on with nothing else.

Of each file that the estimator reads there is the SHA-256, of the images whether they are as many, of the same size and
with the same labels. A supernet's latest checkpoints are looked up once, when the evaluation begins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from supernet.compose import CONFIG, PATHS
from supernet.costs.measurements import FILE
from supernet.errors import UserError
from supernet.estimators.base import Estimator, Task
from supernet.estimators.one_shot import OneShot
from supernet.estimators.predictors.trained import TRAINED
from supernet.files import shown, write_atomically

INPUTS = "inputs.json"
INSIDE = {"trained": TRAINED, "path": FILE}
"""The file that is read where a setting names the folder of a run."""

Inputs = dict[str, dict[str, str]]
"""By the setting what is read, and what it is like."""


def fix_checkpoints(configuration: DictConfig) -> None:
    """Write into a configuration, wherever it has estimators by supernets, which checkpoints are the latest now.

    So they are taken later too.

    Raises `UserError` where there are none.
    """
    for value in configuration.values():
        if isinstance(value, DictConfig):
            fix_checkpoints(value)
    if _is_search(configuration) and configuration.epochs is None:
        from supernet.inherited import checkpoints_of  # takes two seconds to import, for which others have no use

        configuration.epochs = list(checkpoints_of(configuration.run, configuration.checkpoints))


def inputs(configuration: DictConfig, estimator: Estimator, task: Task) -> Inputs:
    """What the estimator of this configuration reads for its task."""
    content: Any = OmegaConf.to_container(configuration, resolve=True)
    found = {name: {str(path): digest(path) for path in paths} for name, paths in _files(content, "estimator")}
    count, image = len(task.samples.labels), "x".join(map(str, task.samples.image))
    found["data"] = {
        "number of images": f"{count}",
        "size of images": image,
        "list of labels": _of(task.samples.labels),
    }
    if isinstance(estimator, OneShot) and estimator.labels is not None:
        found["data of the supernet"] = {"list of labels": _of(estimator.labels)}
    return found


def keep(folder: Path, found: Inputs) -> None:
    """Write ``inputs.json``."""
    write_atomically(folder / INPUTS, json.dumps(found, indent=2) + "\n")


def compare(folder: Path, found: Inputs) -> None:
    """Raise `UserError` that names what is different from when the run in this folder was begun."""
    path = folder / INPUTS
    try:
        before = {setting: dict(parts) for setting, parts in json.loads(path.read_text()).items()}
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {shown(folder)} was not saved by this version; start a new run") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    for setting in before | found:
        known, now = before.get(setting, {}), found.get(setting, {})
        for part in known | now:
            if known.get(part) != now.get(part):
                raise UserError(
                    f"{setting}: {part} has changed since {shown(folder)} was begun, and scores would not belong "
                    "together; bring back what it was, or start a new run"
                )


def digest(path: Path) -> str:
    """The SHA-256 of a file; of a run's configuration without its folder, which may be reached in several ways."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        if path.name == CONFIG:
            found.update(b"".join(line for line in file if not line.startswith(b"run_dir:")))
        while part := file.read(2**20):
            found.update(part)
    return found.hexdigest()


def _files(node: Mapping[str, Any], name: str) -> Iterator[tuple[str, list[Path]]]:
    """The settings of a configuration that name files, and the files."""
    for key, value in node.items():
        setting = f"{name}.{key}"
        if isinstance(value, Mapping):
            yield from _files(value, setting)
        elif key == "run" and _is_search(node):
            from supernet.inherited import checkpoints_of

            kept = checkpoints_of(value, node["checkpoints"], node["epochs"])
            yield setting, [Path(value, CONFIG), *kept.values()]
        elif isinstance(value, str) and (key in PATHS or name.endswith(".files")):
            path = Path(value, INSIDE.get(key, "")) if Path(value).is_dir() else Path(value)
            if path.is_file():
                yield setting, [path]


def _is_search(node: Mapping[Any, Any]) -> bool:
    """Whether a configuration names the folder of a search, and what to take of its checkpoints."""
    count = node.get("checkpoints")
    return "run" in node and "epochs" in node and isinstance(count, int) and count > 0


def _of(labels: Tensor) -> str:
    return hashlib.sha256(labels.cpu().numpy().tobytes()).hexdigest()
