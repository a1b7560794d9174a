"""The configuration files of the data."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from supernet.data.images import Images
from supernet.data.options import FixedOptions, FoundOptions, Options

FILES = sorted((Path(__file__).parents[3] / "conf" / "data").glob("*.yaml"))
OPTIONS = {option.__name__: option.__optional_keys__ for option in (Options, FoundOptions, FixedOptions)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_gives_every_argument_of_its_class(file: Path) -> None:
    content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    assert isinstance(content, dict)
    arguments: set[str] = set()
    for name, parameter in inspect.signature(get_class(content["_target_"])).parameters.items():
        is_options = parameter.kind is parameter.VAR_KEYWORD
        arguments |= OPTIONS[parameter.annotation.removeprefix("Unpack[").removesuffix("]")] if is_options else {name}
    assert next(iter(content)) == "_target_"
    assert content.keys() - {"_target_"} == arguments
    assert (content["seed"], content["batch_size"]) == ("${seed}", "${batch_size}")


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_what_needs_no_files_can_be_built(name: str) -> None:
    data: Any = OmegaConf.load(next(file for file in FILES if file.stem == name))
    images = instantiate(OmegaConf.create({"seed": 3, "batch_size": 7, "data": data}).data)
    assert isinstance(images, Images)
    assert (images.seed, images.batch_size) == (3, 7)
    assert images.num_classes == 10


def test_lists_from_a_file_are_understood() -> None:
    data: Any = OmegaConf.load(next(file for file in FILES if file.stem == "synthetic"))
    data.size, data.mean, data.std = [6, 9], [0.1, 0.2, 0.3], [1, 2, 3]
    images = instantiate(OmegaConf.create({"seed": 0, "batch_size": 7, "data": data}).data)
    assert images.size == (6, 9)
    assert images.std.tolist() == [1, 2, 3]
