"""LGA: whether the kernel of a network that was trained for a moment groups the images by class.

Mok, Na, Kim, Han and Yoon, "Demystifying the Neural Tangent Kernel from a Practical Perspective: Can It Be Trusted for
Neural Architecture Search without Training?", 2022, arXiv:2203.14577: label-gradient alignment. At initialisation the
kernel says little about an architecture; a few epochs change that. It is the most expensive score here: each epoch is a
pass back and forth over all images, three epochs of 256 cost as much as training on 768 images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.gram_statistic import GramStatistic, same_class
from supernet.estimators.proxies.label_alignment import alignment
from supernet.estimators.proxies.sample_gradients import logit_sums


class LGA(GramStatistic):
    """The alignment of the neural tangent kernel with the classes, after a brief training on the same images.

    Args:
        task: what is scored.
        batch_size: images that the network is trained on.
        gram_batch: the first of them, whose gradients are compared; all where there are not more.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        epochs: how many times the network sees the images, in the paper 3 or 5; 0 for no training.
        step_batch: images in a step of plain gradient descent.
        lr: its learning rate.
    """

    uses_labels = True

    def __init__(
        self,
        task: Task,
        batch_size: int = 256,
        gram_batch: int = 40,
        batches: int = 1,
        inits: int = 1,
        epochs: int = 3,
        step_batch: int = 64,
        lr: float = 0.02,
    ) -> None:
        super().__init__(task, batch_size, gram_batch, batches, inits)
        if not isinstance(epochs, int) or epochs < 0:
            raise ValueError(f"epochs is {epochs}: it must be a whole number, at least 0")
        if not isinstance(step_batch, int) or step_batch < 2:
            raise ValueError(f"step_batch is {step_batch}: it must be a whole number, at least 2")
        if lr <= 0:
            raise ValueError(f"lr is {lr}: it must be above 0")
        self.epochs = epochs
        self.step_batch = step_batch
        self.lr = lr

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `descend` and `label_gradient_alignment`."""
        for _ in range(self.epochs):
            descend(network, images, labels, self.step_batch, self.lr)
        kernel = torch.stack(self.grams(network, images, logit_sums)).sum(dim=0)
        return float(label_gradient_alignment(kernel, labels[: self.gram_batch]))


def label_gradient_alignment(kernel: Tensor, labels: Tensor) -> Tensor:
    """`alignment` of the kernel ``(batch, batch)`` of all layers with ``L_ij = 1`` for images of one class, else 0."""
    return alignment(kernel, same_class(labels).to(kernel))


def descend(network: nn.Module, images: Tensor, labels: Tensor, step_batch: int, lr: float) -> None:
    """One epoch of plain gradient descent on the cross-entropy, in steps of about ``step_batch`` images, in place."""
    parameters = list(network.parameters())
    mixed = torch.randperm(len(images)).to(images.device)
    for chosen in mixed.tensor_split(-(-len(images) // step_batch)):
        loss = F.cross_entropy(network(images[chosen]), labels[chosen])
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(lr * gradient)
