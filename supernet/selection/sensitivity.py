"""FreeDARTS: how sensitive an untrained supernet is to each of its alphas.

Zhang, Su, Pan, Chang, Huang and Haffari, "Connection Sensitivity Matters for Training-free DARTS", 2021,
arXiv:2106.11542, and github.com/anonymous-submission1991/FreeDARTS. Alphas are pruned as weights are: the mixing
weights are the alphas themselves, and an operation is as important as its alpha. As operations are compared with those
of their own edge only, large networks are not preferred as by a sum over all weights.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from search_spaces.network import Network
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.data.images import Images
from supernet.estimators.base import Task
from supernet.estimators.proxies.normalisation import normalised
from supernet.files import write_atomically
from supernet.modules.search import SearchModule
from supernet.selection.base import SCORE, SCORES, Selected, Selection, at_least, prepare, task_of
from supernet.selection.journal import text
from supernet.selection.pruning import without_none
from supernet.warm_start.scoring import thin

Tables = Mapping[str, Tensor]
"""For each cell type ``(edges, operations)``."""


class OperationSensitivity(Selection):
    """The architecture that the saliencies stand for, by the space's own rule; ``none`` does not count.

    ``scores.csv`` has the saliency of each operation; the score of the search is the sum of those that were chosen.

    Args:
        folder: of the run.
        alpha_std: of the alphas, which are normal (the published code); None: all are 1.
        channels: of the supernet, which is then as short as the space allows; None for the space's own supernet.
    """

    needs_training = False
    decodes = True
    measures = (SCORE,)

    def __init__(self, folder: str | Path, alpha_std: float | None = 1e-3, channels: int | None = None) -> None:
        if alpha_std is not None and not alpha_std > 0:
            raise ValueError(f"alpha_std is {alpha_std}: it must be positive, or null")
        self.folder = Path(folder)
        self.alpha_std = alpha_std
        self.channels = channels

    @abstractmethod
    def saliencies(self, network: Network, alphas: Tables, task: Task) -> dict[str, Tensor]:
        """How important each operation is, higher is better; the network is in training mode and nobody else's."""

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        task = task_of(module, images)
        task = replace(task, space=thin(task.space, self.channels))
        torch.manual_seed(seeds.derive(task.seed, seeds.SCORE))
        network = task.space.supernet().to(task.device).train()
        found = self.saliencies(network, self._alphas(task, generator), task)
        write_atomically(self.folder / SCORES, _listed(task.space, found))
        chosen = task.space.discretize(decodable(task.space, found))
        kept = chosen.one_hot(task.space.operations, torch.float64)
        return Selected(chosen, {SCORE: float(sum((kept[cell] * table.cpu()).sum() for cell, table in found.items()))})

    def _alphas(self, task: Task, generator: Generator) -> dict[str, Tensor]:
        alphas = {}
        for cell, allowed in task.space.allowed.items():
            drawn = torch.randn(allowed.shape, generator=generator)
            values = torch.ones_like(drawn) if self.alpha_std is None else self.alpha_std * drawn
            alphas[cell] = (values * allowed).to(task.device)
        return alphas


class FlowSensitivity(OperationSensitivity):
    """``|alpha dR / dalpha|`` with R the sum of the logits for an image of ones, as in SynFlow: without any data.

    Weights and alphas are made positive, batch norms do nothing, and everything is computed in float64. (The published
    code leaves batch norms in, and its result is not a number on NAS-Bench-201.)
    """

    def saliencies(self, network: Network, alphas: Tables, task: Task) -> dict[str, Tensor]:
        """See `OperationSensitivity.saliencies`."""
        ones = torch.ones(1, *task.samples.image, dtype=torch.float64, device=task.device)
        with torch.no_grad():
            for parameter in network.double().parameters():
                parameter.abs_()
        positive = {cell: table.double().abs() for cell, table in alphas.items()}
        with normalised("identity"):
            return connection_sensitivity(lambda weights: network(ones, weights).sum(), positive)


class LossSensitivity(OperationSensitivity):
    """``|alpha dL / dalpha|`` with L the cross-entropy of a batch, as in SNIP.

    Args:
        folder: see `OperationSensitivity`, as the next two.
        alpha_std: see there.
        channels: see there.
        batch_size: images.
    """

    def __init__(
        self, folder: str | Path, alpha_std: float | None = 1e-3, channels: int | None = None, batch_size: int = 64
    ) -> None:
        super().__init__(folder, alpha_std, channels)
        at_least(1, batch_size=batch_size)
        self.batch_size = batch_size

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        task.samples.batch(self.batch_size)

    def loss(self, network: Network, weights: Tables, task: Task) -> Tensor:
        """The cross-entropy of the batch under these mixing weights."""
        images, labels = task.samples.batch(self.batch_size, 0, task.device)
        return F.cross_entropy(network(images, weights), labels)

    def saliencies(self, network: Network, alphas: Tables, task: Task) -> dict[str, Tensor]:
        """See `OperationSensitivity.saliencies`."""
        return connection_sensitivity(lambda weights: self.loss(network, weights, task), alphas)


class GradientFlowSensitivity(LossSensitivity):
    """``alpha (H g)`` with g and H gradient and Hessian of the cross-entropy for alpha, as in GraSP.

    It is by how much ``|g|^2 / 2`` would fall, to first order, if the alpha became zero.
    """

    def saliencies(self, network: Network, alphas: Tables, task: Task) -> dict[str, Tensor]:
        """See `OperationSensitivity.saliencies`."""
        return gradient_preservation(lambda weights: self.loss(network, weights, task), alphas)


def connection_sensitivity(scalar: Callable[[Tables], Tensor], alphas: Tables) -> dict[str, Tensor]:
    """``|alpha ds / dalpha|`` of a scalar ``s(alpha)``, by one backward pass."""
    leaves = {cell: table.detach().requires_grad_() for cell, table in alphas.items()}
    gradients = torch.autograd.grad(scalar(leaves), list(leaves.values()))
    return {
        cell: (leaf.detach() * gradient).abs() for (cell, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }


def gradient_preservation(scalar: Callable[[Tables], Tensor], alphas: Tables) -> dict[str, Tensor]:
    """``alpha (H g)`` of a scalar ``s(alpha)``: ``H g`` is the gradient of ``g^T v`` at the constant ``v = g``."""
    leaves = {cell: table.detach().requires_grad_() for cell, table in alphas.items()}
    tensors = list(leaves.values())
    gradients = torch.autograd.grad(scalar(leaves), tensors, create_graph=True)
    products = torch.autograd.grad(
        torch.stack([(gradient * gradient.detach()).sum() for gradient in gradients]).sum(), tensors
    )
    return {cell: leaf.detach() * product for (cell, leaf), product in zip(leaves.items(), products, strict=True)}


def decodable(space: SearchSpace, saliencies: Tables) -> dict[str, Tensor]:
    """The saliencies, minus infinity on ``none`` where an edge may have something else."""
    return {cell: saliencies[cell].cpu().masked_fill(~table, -torch.inf) for cell, table in without_none(space).items()}


def _listed(space: SearchSpace, saliencies: Tables) -> str:
    lines: list[list[object]] = [["cell", "edge", "operation", "score"]]
    for cell, table in saliencies.items():
        for edge, operation in space.allowed[cell].nonzero().tolist():
            source, node = space.edges[cell][edge]
            value = repr(float(table[edge, operation]))
            lines.append([cell, f"{source}->{node}", space.operations[cell][operation], value])
    return text(lines)
