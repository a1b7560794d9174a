"""A graph network that looks at the cells themselves, and learns to rank.

The vertices are the operations of all edges, with an input and an output for each cell, as in the graph convolutional
predictor of White, Zela, Ru, Liu and Hutter, "How Powerful are Performance Predictors in Neural Architecture Search?",
2021, arXiv:2104.01177: layers that pass messages along the edges in both directions, a mean over all vertices, and a
small head. Sizes are smaller here, and layers normalise each vertex. The ranking loss asks that of two architectures
the better one scores higher by a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from supernet import seeds
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, Table
from supernet.estimators.features.graph import CellGraph, Choices, graphs
from supernet.estimators.predictors.base import Floats, Predictor
from supernet.estimators.predictors.table import at_least

BATCH = 4096  # architectures at a time when they are scored


class GraphNetwork(Predictor):
    """With ``loss=rank`` a score has no unit; with ``mse`` it is an accuracy.

    Args:
        task: gives space and seed.
        features: put next to what the network sees, standardised; None for the cells alone.
        loss: ``rank``: `pair_hinge`; ``mse``: the squared error of the standardised accuracy.
        margin: of the ranking loss, in standard deviations of the score.
        width: of the layers.
        layers: how many.
        dropout: of the head.
        epochs: passes over the architectures.
        batch_size: architectures in a step.
        lr: of AdamW at the start; it falls to zero by a cosine.
        weight_decay: of AdamW.
    """

    def __init__(
        self,
        task: Task,
        features: Features | None = None,
        loss: Literal["rank", "mse"] = "rank",
        margin: float = 0.1,
        width: int = 64,
        layers: int = 3,
        dropout: float = 0.1,
        epochs: int = 150,
        batch_size: int = 32,
        lr: float = 3e-3,
        weight_decay: float = 3e-4,
    ) -> None:
        if loss not in ("rank", "mse"):
            raise ValueError(f"loss is {loss!r}: it must be 'rank' or 'mse'")
        at_least(1, width=width, layers=layers, epochs=epochs)
        at_least(2, batch_size=batch_size)
        at_least(0.0, margin=margin, lr=lr, weight_decay=weight_decay)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}: it must be at least 0 and less than 1")
        self.seed = task.seed
        self.features = features
        self.loss = loss
        self.margin = margin
        self.sizes = (width, layers, dropout)
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.encoding = Encoding(graphs(task.space))
        self._centre, self._scale = np.zeros(0), np.ones(0)
        self._mean, self._deviation = 0.0, 1.0

    def learn(self, architectures: Sequence[Architecture], accuracies: Floats) -> None:
        """See `Predictor.learn`."""
        columns = self._columns(architectures)
        finite = np.ma.masked_invalid(columns)
        self._centre, self._scale = finite.mean(axis=0).filled(0.0), finite.std(axis=0).filled(0.0)
        self._mean, self._deviation = float(accuracies.mean()), float(accuracies.std()) or 1.0
        targets = torch.from_numpy((accuracies - self._mean) / self._deviation).float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derive(self.seed, seeds.WEIGHTS))
            self.network = Network(self.encoding.labels, columns.shape[1], *self.sizes)
            self._train(self._inputs(architectures), targets)
        self.network.eval()

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """See `Predictor.predict`."""
        parts = [architectures[start : start + BATCH] for start in range(0, len(architectures), BATCH)]
        with torch.no_grad():
            found = torch.cat([self.network(*self._inputs(part)) for part in parts]).double().numpy()
        return found if self.loss == "rank" else found * self._deviation + self._mean

    def _train(self, inputs: tuple[Tensor, ...], targets: Tensor) -> None:
        optimizer = torch.optim.AdamW(self.network.parameters(), self.lr, weight_decay=self.weight_decay)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        self.network.train()
        for _ in range(self.epochs):
            for rows in torch.randperm(len(targets)).split(self.batch_size):
                if len(rows) < 2:  # no pair
                    continue
                scores = self.network(*(one[rows] for one in inputs))
                loss = (
                    pair_hinge(scores, targets[rows], self.margin)
                    if self.loss == "rank"
                    else F.mse_loss(scores, targets[rows])
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            scheduler.step()

    def _inputs(self, architectures: Sequence[Architecture]) -> tuple[Tensor, Tensor, Tensor]:
        columns = self._columns(architectures)
        standard = (columns - self._centre) / np.where(self._scale > 0, self._scale, 1.0)
        standard = np.where(np.isfinite(standard), standard, 0.0)
        return *self.encoding(architectures), torch.from_numpy(standard).float()

    def _columns(self, architectures: Sequence[Architecture]) -> Table:
        return self.features.table(architectures) if self.features else np.zeros((len(architectures), 0))


def pair_hinge(scores: Tensor, targets: Tensor, margin: float) -> Tensor:
    """The mean of ``max(0, margin - (s_i - s_j))`` over all pairs with ``y_i > y_j``; 0 where there is none."""
    better = targets[:, None] > targets[None, :]
    losses = F.relu(margin - (scores[:, None] - scores[None, :]))
    return (losses * better).sum() / better.sum().clamp_min(1)


class Encoding:
    """Architectures as labels of vertices and matrices of adjacency, all cells in one graph without edges between them.

    A vertex stands for an edge of the cell; besides, each cell has its inputs and an output. Messages flow from a
    vertex to those that begin where it ends; nothing flows through ``none`` or an edge that is not kept.

    Attributes:
        labels: how many different ones there are: each operation, a link, an edge not kept, each input, the output.
    """

    def __init__(self, cells: Sequence[CellGraph]) -> None:
        self.cells = cells
        self.labels = sum(len(cell.operations) + 3 + len(cell.inputs) for cell in cells)
        self._joined = [_joined(cell) for cell in cells]

    def __call__(self, architectures: Sequence[Architecture]) -> tuple[Tensor, Tensor]:
        """Labels ``(architectures, vertices)`` and whether messages flow ``(architectures, from, to)``."""
        labels, blocks, first = [], [], 0
        for cell, joined in zip(self.cells, self._joined, strict=True):
            choices = cell.choices(architectures)
            ends = np.arange(len(cell.operations) + 2, len(cell.operations) + 3 + len(cell.inputs))
            labels += [first + 2 + choices, np.broadcast_to(first + ends, (len(choices), len(ends)))]  # choices from -2
            first += len(cell.operations) + 3 + len(cell.inputs)
            alive = _alive(cell, choices)
            blocks.append(joined & alive[:, :, None] & alive[:, None, :])
        sizes = [block.shape[1] for block in blocks]
        flows = np.zeros((len(architectures), sum(sizes), sum(sizes)), dtype=np.float32)
        start = 0
        for size, block in zip(sizes, blocks, strict=True):
            flows[:, start : start + size, start : start + size] = block
            start += size
        return torch.from_numpy(np.concatenate(labels, axis=1)), torch.from_numpy(flows)


def _joined(cell: CellGraph) -> NDArray[np.bool_]:
    """Whether one vertex of a cell ends where another begins ``(from, to)``; inputs and output stand last."""
    nowhere = -1
    begins = np.array([*(source for source, _ in cell.edges), *(nowhere for _ in cell.inputs), cell.output])
    ends = np.array([*(node for _, node in cell.edges), *cell.inputs, nowhere])
    return (ends[:, None] == begins[None, :]) & (ends[:, None] != nowhere)


def _alive(cell: CellGraph, choices: Choices) -> NDArray[np.bool_]:
    """Whether anything flows through each vertex ``(architectures, vertices)``."""
    through = np.array([*(name != "none" for name in cell.operations), True, False])  # LINK is -2, DROPPED is -1
    return np.hstack([through[choices], np.ones((len(choices), len(cell.inputs) + 1), dtype=bool)])


class Network(nn.Module):
    """From labels, flows and features to one score.

    Args:
        labels: how many different ones vertices have.
        features: of an architecture.
        width: of the layers.
        layers: how many.
        dropout: of the head.
    """

    def __init__(self, labels: int, features: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(labels, width)
        self.layers = nn.ModuleList(MessagePassing(width) for _ in range(layers))
        self.head = nn.Sequential(
            nn.Linear(width + features, 2 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * width, 1)
        )

    def forward(self, labels: Tensor, flows: Tensor, features: Tensor) -> Tensor:
        """``(architectures, vertices)``, ``(architectures, vertices, vertices)``, ``(architectures, features)``."""
        x = self.embed(labels)
        for layer in self.layers:
            x = layer(x, flows)
        return self.head(torch.cat([x.mean(dim=1), features], dim=1))[:, 0]


class MessagePassing(nn.Module):
    """Each vertex becomes a function of itself, of the mean of those before it and of the mean of those after it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.itself = nn.Linear(width, width)
        self.before = nn.Linear(width, width, bias=False)
        self.after = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, flows: Tensor) -> Tensor:
        """``(architectures, vertices, width)`` and ``(architectures, vertices, vertices)``."""
        messages = self.before(_mean_of(flows.transpose(1, 2), x)) + self.after(_mean_of(flows, x))
        return x + F.relu(self.norm(self.itself(x) + messages))


def _mean_of(neighbours: Tensor, x: Tensor) -> Tensor:
    """The mean over the neighbours of each vertex, zero for one without."""
    return neighbours @ x / neighbours.sum(dim=2, keepdim=True).clamp_min(1)
