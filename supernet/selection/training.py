"""Training a stand-alone network for a few epochs, to compare it with others: the plain loop, without a trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from supernet.data.loading import Batch


def train(
    network: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    optimizer: Optimizer,
    scheduler: LRScheduler,
    epochs: int,
    clip: float = 0.0,
) -> None:
    """Minimise the cross-entropy.

    Args:
        network: from images to logits; it is left in training mode.
        batches: those of an epoch, by its number from 0.
        optimizer: of the network's parameters.
        scheduler: of the optimizer, stepped once an epoch.
        epochs: how many.
        clip: largest norm of the gradient; 0 turns clipping off.
    """
    network.train()
    for epoch in range(epochs):
        for images, labels in batches(epoch):
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            if clip:
                nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
        scheduler.step()


@torch.no_grad()
def accuracy(network: nn.Module, batches: Iterable[Batch]) -> float:
    """The share of images that a network gets right in evaluation mode, in which it is left."""
    network.eval()
    hits = [network(images).argmax(dim=1) == labels for images, labels in batches]
    return float(torch.cat(hits).double().mean())
