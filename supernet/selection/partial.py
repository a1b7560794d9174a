"""A trained supernet that is turned, decision by decision, into the network of one architecture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.architecture import DROPPED, Allowed, Architecture
from search_spaces.network import Network
from supernet.data.loading import Batch
from supernet.modules.search import SearchModule
from supernet.modules.structure import transfer_optimizer
from supernet.selection.undecided import UNDECIDED


class PartialSupernet:
    """A copy of a search's supernet; the search itself and its alphas stay as they are.

    Decided edges carry their operation with weight one, the others their mean mixture. Batch norm always uses the
    statistics of the batch, as in the published code: the running ones are those of another mixture.

    Args:
        module: the search.
        lr_scale: the learning rate of `tune`, as a share of the one the search began with.
    """

    def __init__(self, module: SearchModule, lr_scale: float = 1.0) -> None:
        self.module = module
        self.allowed: Allowed = module.space.allowed
        self.network = self._build(module.network)
        self.optimizer = module.weight_optimizer(list(self.network.parameters()))
        for group in self.optimizer.param_groups:
            group["lr"] *= lr_scale
        mixture = module.alphas.mean()
        self.mean = self.weights = dict(mixture.weights)
        ones = {cell: table.new_ones(len(table)) for cell, table in self.weights.items()}
        self.edges = ones if mixture.edges is None else dict(mixture.edges)

    def decide(self, partial: Architecture) -> None:
        """Give edges the operations they have kept by now; what is ruled out leaves the network."""
        space, allowed, weights = self.module.space, {}, {}
        for cell, row in partial.choices:
            tables, mean = space.allowed[cell].clone(), self.mean[cell].clone()
            for edge, choice in enumerate(row):
                if choice != UNDECIDED:
                    tables[edge], mean[edge] = False, 0.0
                if choice not in (UNDECIDED, DROPPED):
                    tables[edge, choice], mean[edge, choice] = True, 1.0
            allowed[cell], weights[cell] = tables, mean
        if all(torch.equal(table, self.allowed[cell]) for cell, table in allowed.items()):
            return
        self.allowed, self.weights, parent = allowed, weights, self.network
        self.network = self._build(parent)
        transfer_optimizer(self.optimizer, self.network, parent, None, rescale=False)

    def logits(
        self, images: Tensor, cell: str | None = None, edge: int | None = None, operation: int | None = None
    ) -> Tensor:
        """The logits, without one operation of an edge, or without the edge, if these are given.

        What is taken away leaves its weight to nothing else (Wang et al., 2021), the channels that bypass an operation
        (Xu et al., 2020) stay.
        """
        weights, edges = dict(self.weights), dict(self.edges)
        if cell is not None and edge is not None:
            changed = edges if operation is None else weights
            changed[cell] = changed[cell].clone()
            changed[cell][edge if operation is None else (edge, operation)] = 0.0
        return self.network(images, weights, edges)

    @torch.no_grad()
    def accuracy(self, batches: Iterable[Batch], cell: str, edge: int, operation: int | None) -> float:
        """The share of images that are right without this operation, or (None) without the edge."""
        hits = [self.logits(images, cell, edge, operation).argmax(dim=1) == labels for images, labels in batches]
        if not hits:
            raise ValueError("there are no images to evaluate on")
        return float(torch.cat(hits).double().mean())

    def tune(self, batches: Iterable[Batch]) -> None:
        """Train the weights on these batches, with the search's optimizer, loss and clipping."""
        weights = list(self.network.parameters())
        for images, labels in batches:
            self.optimizer.zero_grad()
            F.cross_entropy(self.logits(images), labels).backward()
            if self.module.clip:
                nn.utils.clip_grad_norm_(weights, self.module.clip)
            self.optimizer.step()

    def _build(self, parent: Network) -> Network:
        space, parts = self.module.space, self.module.partial_channels
        network = space.build(self.allowed, searching=True, partial_channels=parts).to(next(parent.parameters()))
        network.inherit(parent)
        return network.to(memory_format=torch.channels_last).train()
