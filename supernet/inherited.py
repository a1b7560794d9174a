"""One-shot scores from the folder of a search: ``estimator=one_shot estimator.run=logs/search/runs/<time>``."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.network import Network
from search_spaces.space import SearchSpace
from supernet.alphas import Alphas, Mixture
from supernet.callbacks.checkpoint import AtomicCheckpointIO, kept_checkpoints
from supernet.compose import build, read_config
from supernet.data.images import Images
from supernet.data.loading import Batch
from supernet.errors import UserError
from supernet.estimators.base import Task
from supernet.estimators.one_shot import Metric, OneShot
from supernet.modules.search import STRUCTURE
from supernet.relaxations.uniform import Uniform
from supernet.run import CHECKPOINTS

NETWORK, BETAS = "network.", "alphas.beta."  # where the supernet's tensors and the edges' weights are in a checkpoint


class FromSearch(OneShot):
    """One-shot scores with the weights that a search has trained, whatever its relaxation and formulation.

    Its images and their halves are those of the search: the training half recalibrates, the held-out half judges.
    Architectures with an operation that the supernet does not have any more score minus infinity.

    Args:
        task: gives the space and the device.
        run: the folder of the search.
        metric: see `OneShot`.
        recalibration_batches: how many training batches, augmented as in training, give an architecture its statistics
            of batch norm; 0 for the supernet's own, which are those of its mixtures.
        batches: how many batches of held-out images judge an architecture; None for all.
        checkpoints: the score is the mean over so many of the latest epochs that the search has kept.
        epochs: or over these epochs; None for the latest.

    Raises:
        UserError: where the folder does not have what is needed.
        ValueError: for a number that makes no sense.
    """

    def __init__(
        self,
        task: Task,
        run: str | Path,
        metric: Metric = "accuracy",
        recalibration_batches: int = 20,
        batches: int | None = None,
        checkpoints: int = 1,
        epochs: Sequence[int] | None = None,
    ) -> None:
        least = {"recalibration_batches": 0, "batches": 1, "checkpoints": 1}
        given = {"recalibration_batches": recalibration_batches, "batches": batches, "checkpoints": checkpoints}
        for name, value in given.items():
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least[name]):
                raise ValueError(f"{name} is {value}: it must be a whole number, at least {least[name]}")
        if epochs is not None and (not epochs or any(type(epoch) is not int for epoch in epochs)):
            raise ValueError(f"epochs is {epochs}: it must be a list of whole numbers, as in [10,20]")
        folder = Path(run).expanduser()
        cfg = read_config(folder, "estimator.run")
        if cfg.task_name != "search":
            raise UserError(f"estimator.run={run}: that is a run of {cfg.task_name}; give the folder of a search")
        if cfg.choices.search_space != task.space.name:
            raise UserError(
                f"{folder} is a search in the space {cfg.choices.get('search_space')}, not "
                f"{task.space.name}; choose its search_space="
            )
        images: Images = build(cfg.data, "data")
        images.to(task.device)
        self.labels = images.labels("all")
        self.spaces: list[SearchSpace] = []
        supernets = {}
        found = checkpoints_of(run, checkpoints, epochs)
        for epoch, path in found.items():
            space, supernet, betas = load(task.space, path)
            supernet = supernet.to(task.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.spaces.append(space)
            build_one = functools.partial(single, weighted(space, betas).to(task.device)) if betas else inherit
            supernets[str(epoch) if len(found) > 1 else ""] = functools.partial(build_one, space, supernet)
        train: Callable[[], Iterator[Batch]] = functools.partial(
            images.batches, "train", shuffle=True, augment=True, drop_last=True
        )
        valid: Callable[[], Iterator[Batch]] = functools.partial(images.batches, "valid", shuffle=True)
        super().__init__(
            supernets,
            lambda: itertools.islice(valid(), batches),
            (lambda: itertools.islice(train(), recalibration_batches)) if recalibration_batches else None,
            metric,
            task.seed,
        )

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        if all(holds(space, architecture) for space in self.spaces):
            return super().measurements(architecture)
        return tuple(math.inf if name.startswith("loss") else -math.inf for name in self.names)


def holds(space: SearchSpace, architecture: Architecture) -> bool:
    """Whether the supernet of a space has all operations of an architecture."""
    chosen = architecture.allowed(space.operations)
    return not any(bool((table & ~space.allowed[cell]).any()) for cell, table in chosen.items())


def inherit(space: SearchSpace, supernet: Network, architecture: Architecture) -> Network:
    """The network of an architecture with the supernet's weights, to be changed at will."""
    network = space.build(
        architecture.allowed(space.operations), searching=True, partial_channels=supernet.cells[0].partial
    )
    network = network.to(next(supernet.parameters()).device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.inherit(supernet)
    return network


class Single(nn.Module):
    """One architecture in a supernet whose edges have weights, as it was trained there."""

    def __init__(self, supernet: Network, mixture: Mixture) -> None:
        super().__init__()
        self.supernet = supernet
        self.mixture = mixture

    def forward(self, images: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.supernet(images, self.mixture.weights, self.mixture.edges, self.mixture.only)
        return logits


def single(alphas: Alphas, space: SearchSpace, supernet: Network, architecture: Architecture) -> Single:
    """`inherit` where the edges have weights, which a stand-alone network does not know."""
    return Single(copy.deepcopy(supernet), alphas.single(dict(architecture.choices)))


def weighted(space: SearchSpace, betas: Mapping[str, Tensor]) -> Alphas:
    """What has these weights of the edges."""
    destinations = {cell: [node for _, node in edges] for cell, edges in space.edges.items()}
    alphas = Alphas(Uniform(), space.allowed, destinations, edge_normalization=True)
    with torch.no_grad():
        for cell, beta in betas.items():
            alphas.beta[cell].copy_(beta)
    return alphas


def checkpoints_of(run: str | Path, count: int, epochs: Sequence[int] | None = None) -> dict[int, Path]:
    """The checkpoints of a search after these epochs, without them its latest, see `latest`.

    Raises `UserError` where the folder does not have them.
    """
    folder = Path(run).expanduser()
    if epochs is None:
        return latest(folder, count, read_config(folder, "estimator.run").get("checkpoint_every"))
    kept = kept_checkpoints(folder / CHECKPOINTS)
    for epoch in epochs:
        if epoch not in kept:
            path = folder / CHECKPOINTS / f"epoch_{epoch:04d}.ckpt"
            raise UserError(f"{path} is not there; the search has kept those of the epochs {', '.join(map(str, kept))}")
    return {epoch: kept[epoch] for epoch in sorted(epochs)}


def latest(folder: Path, count: int, every: int | None = None) -> dict[int, Path]:
    """The newest checkpoints of a run by their epoch, the oldest first.

    Of several those count that are kept because of ``checkpoint_every``: they lie equally far apart. Raises `UserError`
    where they are fewer.
    """
    kept = kept_checkpoints(folder / CHECKPOINTS)
    if not kept:
        raise UserError(f"{folder} has no checkpoint of a supernet; use the folder of a search with epochs=1 or more")
    if count > 1 and every:
        kept = {epoch: path for epoch, path in kept.items() if epoch % every == 0}
    if len(kept) < count:
        raise UserError(
            f"checkpoints={count}, but {folder} has kept those of the epochs {', '.join(map(str, kept))}; "
            "a search with checkpoint_every=5 keeps more"
        )
    return dict(list(kept.items())[-count:])


def load(space: SearchSpace, path: Path) -> tuple[SearchSpace, Network, dict[str, Tensor]]:
    """The space as it was in the epoch of a checkpoint, its supernet with the trained weights, and the edges' betas.

    Raises `UserError` for a checkpoint that is not one of a search in this space.
    """
    try:
        content = AtomicCheckpointIO().load_checkpoint(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} has gone: a search that is at work keeps its latest only") from error
    try:
        saved: dict[str, Any] = content[STRUCTURE]
        whole = space.resized(**saved["arguments"]).restrict(saved["allowed"])
        network = whole.supernet(saved["partial_channels"])
        tensors = {
            name.removeprefix(NETWORK): tensor
            for name, tensor in content["state_dict"].items()
            if name.startswith(NETWORK)
        }
        network.load_state_dict(tensors)
        betas = {
            name.removeprefix(BETAS): tensor for name, tensor in content["state_dict"].items() if name.startswith(BETAS)
        }
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is no checkpoint of a supernet of {space.name}: {reason}") from error
    return whole, network, betas
