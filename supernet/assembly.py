"""The parts that every command builds from its configuration: the space for some images, its table, an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig

from search_spaces.space import SearchSpace
from supernet.benchmarks.base import Benchmark
from supernet.compose import build, choices, names
from supernet.data.images import Images
from supernet.errors import UserError
from supernet.estimators.base import Estimator, EstimatorFactory, Task


def build_space(node: Any, images: Images) -> SearchSpace:
    """The search space for these images. Raises `UserError` where the configuration contradicts them."""
    found = {"in_channels": images.channels, "num_classes": images.num_classes}
    for key, value in found.items():
        if node.get(key) not in (None, value):
            raise UserError(f"search_space.{key}={node[key]}, but the images have {value}; leave it out")
    space: SearchSpace = build(node, "search_space", **found)
    return space


def build_factory(node: Any) -> EstimatorFactory:
    """What makes the estimator once it is told its task. Raises `UserError` where the configuration is of none."""
    factory: EstimatorFactory = build(node, "estimator")
    if isinstance(factory, Estimator) or not callable(factory):
        raise UserError("estimator: its configuration needs `_partial_: true`, because the task completes it")
    return factory


def build_estimator(node: Any, task: Task) -> Estimator:
    """The estimator for this task. Raises `UserError` where its arguments are wrong or do not fit the task."""
    factory = build_factory(node)
    try:
        return factory(task)
    except (TypeError, ValueError) as error:
        raise UserError(f"estimator: {error}") from error


def build_benchmark(node: Any, space: SearchSpace) -> Benchmark | None:
    """The table of this space, None without one. Raises `UserError` for the table of another space."""
    if not node and HydraConfig.initialized():
        _check_choice(choices())
    benchmark: Benchmark | None = build(node, "benchmark") if node else None
    if benchmark is not None and benchmark.space != space.name:
        raise UserError(f"the benchmark knows {benchmark.space}, not {space.name}; use benchmark=none")
    return benchmark


def _check_choice(chosen: Mapping[str, Any]) -> None:
    """Raise `UserError` for a table that there is not: only the one of the space itself may be missing."""
    name = chosen.get("benchmark")
    if name not in (None, "none", chosen.get("search_space"), *(known := names("benchmark"))):
        raise UserError(f"benchmark={name}: no such choice; there are {', '.join(known)}")
