"""How much a supernet forgets of an architecture while others are trained.

Ning, Tang, Li, Zhou, Yang and Wang, "Evaluating Efficient Performance Estimators of Neural Architectures", 2021,
arXiv:2008.03064: the forgetting value is the accuracy after further steps on other architectures, less that right after
a step on this one. It is negative where the steps of others undo what this one learnt.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.network import Network
from supernet import seeds
from supernet.alphas import Mixture
from supernet.data.loading import Batch
from supernet.data.modules import SearchData
from supernet.modules.search import SearchModule


class Forgetting(pl.Callback):
    """Logs ``supernet/forgetting``, the mean forgetting value of some random architectures.

    It is measured on a copy of the supernet at the end of an epoch, so that the search is as it would be without, with
    the learning rate of that epoch.

    Args:
        every: epochs between two measurements.
        architectures: how many.
        steps: how many steps on other random architectures follow that on each.
        batches: of held-out images that judge.
    """

    def __init__(self, every: int = 1, architectures: int = 4, steps: int = 10, batches: int = 4) -> None:
        for name, value in (("every", every), ("architectures", architectures), ("steps", steps), ("batches", batches)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value}: it must be a whole number, at least 1")
        self.every, self.architectures, self.steps, self.batches = every, architectures, steps, batches

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and log."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if (trainer.current_epoch + 1) % self.every or not isinstance(pl_module, SearchModule):
            return
        assert isinstance(data, SearchData)
        images, module, epoch = data.images, pl_module, trainer.current_epoch
        train = itertools.cycle(images.batches("train", epoch, shuffle=True, augment=True, drop_last=True))
        held_out = list(itertools.islice(images.batches("valid", shuffle=True), self.batches))
        generator = torch.Generator().manual_seed(seeds.derive(module.seed, seeds.EPOCH, epoch))
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        values = []
        with torch.random.fork_rng(devices=[module.device] if module.device.type == "cuda" else []):
            for _ in range(self.architectures):
                path = module.space.sample(1 + self.steps, generator)
                batches = list(itertools.islice(train, 1 + self.steps))
                mixtures = [module.alphas.single(dict(one.choices)) for one in path]
                values.append(forgetting(module.network, mixtures, batches, held_out, lr))
        module.log("supernet/forgetting", sum(values) / len(values))


def forgetting(
    supernet: Network, path: Sequence[Mixture], train: Sequence[Batch], held_out: Sequence[Batch], lr: float
) -> float:
    """The forgetting value of the first architecture when all of them are trained for a step each, in their order.

    Args:
        supernet: stays as it is.
        path: the architectures, as `Alphas.single` mixes them.
        train: a batch for each.
        held_out: images that judge the first one, normalised by the statistics of their batch.
        lr: of plain gradient descent.
    """
    network = copy.deepcopy(supernet).train()
    optimizer = torch.optim.SGD(network.parameters(), lr)
    after = []
    with torch.enable_grad():
        for index, (mixture, (images, labels)) in enumerate(zip(path, train, strict=True)):
            optimizer.zero_grad()
            F.cross_entropy(logits(network, mixture, images), labels).backward()
            optimizer.step()
            if index in (0, len(path) - 1):
                after.append(accuracy(network, path[0], held_out))
    return after[-1] - after[0]


def logits(network: Network, mixture: Mixture, images: Tensor) -> Tensor:
    """What a supernet gives under a mixture."""
    found: Tensor = network(images, mixture.weights, mixture.edges, mixture.only)
    return found


@torch.no_grad()
def accuracy(network: Network, mixture: Mixture, batches: Sequence[Batch]) -> float:
    """The share of images that a supernet gets right under a mixture."""
    hits = [logits(network, mixture, images).argmax(dim=1) == labels for images, labels in batches]
    return float(torch.cat(hits).double().mean())
