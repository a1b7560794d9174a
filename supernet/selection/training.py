"""Training a stand-alone network for a few epochs, to compare it with others: the plain loop, without a trainer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.data.images import Images
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


def brief_accuracy(
    space: SearchSpace,
    architecture: Architecture,
    images: Images,
    optimizer: Callable[..., Optimizer],
    scheduler: Callable[..., LRScheduler],
    epochs: int,
    clip: float,
    seed: int,
) -> float:
    """The share of the held-out half that a network gets right after a short training on the training half.

    Args:
        space: whose network it is.
        architecture: which.
        images: on the device where it is trained.
        optimizer: called with the network's parameters.
        scheduler: called with the optimizer.
        epochs: see `train`, as the next one.
        clip: see there.
        seed: determines weights and batches: equal for architectures to be compared.
    """
    torch.manual_seed(seed)
    network = space.network(architecture).to(images.device).to(memory_format=torch.channels_last)
    steps = optimizer(list(network.parameters()))
    batches = functools.partial(images.batches, "train", shuffle=True, augment=True, drop_last=True)
    train(network, batches, steps, scheduler(steps), epochs, clip)
    return accuracy(network, images.batches("valid"))
