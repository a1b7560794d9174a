"""What a training takes from its genotype: the architecture and, where the user does not say, search space and data.

A genotype may come from somebody else: names and plain values are taken from it, classes never.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.space import SearchSpace
from supernet.assembly import build_space
from supernet.compose import group_file, make_absolute, plain
from supernet.data.images import Images
from supernet.errors import UserError
from supernet.genotype import Genotype, resolve


def search_space_of(arguments: list[str]) -> list[str]:
    """The choice ``search_space=`` that the genotype on the command line asks for, none where one is made there.

    The recipe depends on it, so it has to be known before the configuration is composed. Raises `UserError` where the
    genotypes of a sweep are of several spaces.
    """
    given = {argument.partition("=")[0]: argument for argument in arguments if not argument.endswith("=")}
    if "genotype" not in given or "search_space" in given:
        return []
    try:
        (override,) = OverridesParser.create().parse_overrides([given["genotype"]])
    except OverrideParseException:  # what is wrong with it is said when all arguments are parsed
        return []
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    texts = [value.text if isinstance(value, QuotedString) else str(value) for value in values]
    spaces = {genotype.search_space for genotype in map(resolve, texts) if isinstance(genotype, Genotype)}
    if len(spaces) > 1:
        raise UserError(
            f"these genotypes are of several search spaces, {', '.join(sorted(spaces))}: start a sweep for each"
        )
    for space in spaces:
        if not re.fullmatch(r"[\w-]+", space):
            raise UserError(f"{given['genotype']}: {space!r} is no name of a search space")
    return [f"search_space={space}" for space in spaces]


def space_for(cfg: DictConfig, genotype: Genotype | str, images: Images) -> SearchSpace:
    """The space that a genotype is read in, its network in the sizes of the recipe.

    One argument is the search's, unless another is configured: with a `threshold`, nodes may keep a single input.
    """
    node = cfg.search_space
    if isinstance(genotype, Genotype) and node.get("threshold") == 0:
        threshold = genotype.arguments.get("threshold", 0)
        node.threshold = threshold if isinstance(threshold, int | float) else 0
    try:
        return build_space(node, images)
    except UserError as error:
        if "unexpected keyword" in str(error):
            raise UserError(f"{error}; recipe={cfg.choices.recipe} is for another search space") from error
        raise


def architecture_of(genotype: Genotype | str, space: SearchSpace) -> Architecture:
    """The architecture. Raises `UserError` where it is none of this space."""
    if isinstance(genotype, Genotype) and genotype.search_space != space.name:
        raise UserError(
            f"this genotype is of the space {genotype.search_space}, not {space.name}; "
            f"use search_space={genotype.search_space}"
        )
    try:
        return space.parse(genotype.architecture if isinstance(genotype, Genotype) else genotype)
    except ArchitectureError as error:
        hint = "" if isinstance(genotype, Genotype) else f" (read as one of {space.name}: search_space=... is another)"
        raise UserError(f"genotype: {error}{hint}") from error


def data_of(genotype: Genotype | str) -> tuple[DictConfig, str]:
    """The data a genotype was searched on: the group's own file, with the plain arguments of the search.

    The class comes from the configuration file here, never from the genotype. Raises `UserError` where the genotype
    does not say. Where the folder of its images is not here, it is the one in that file.
    """
    if isinstance(genotype, str) or not isinstance(genotype.choices.get("data"), str):
        raise UserError(
            "which data? An architecture alone does not say: data=digits, data=cifar10, data=image_folder ..."
        )
    name = genotype.choices["data"]
    cfg = group_file("data", name)
    # The training has a batch, a seed and a cutout of its own, and nothing is fetched unasked.
    own = {"batch_size", "seed", "download", "cutout"}
    arguments: Any = genotype.config.get("data", {})
    for key, value in arguments.items() if isinstance(arguments, dict) else ():
        if key == "num_images" and cfg.get(key) is None:
            continue  # what was found on a part of the images is trained on all
        there = isinstance(value, str) and os.path.isdir(value)  # noqa: PTH112 (not an error where one may not look)
        if key == "root" and not there:
            continue  # it was searched on another machine
        if key in cfg and key not in own and not str(key).startswith("_") and plain(value):
            OmegaConf.update(cfg, key, value)
    make_absolute(cfg)
    return cfg, name
