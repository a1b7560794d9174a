"""The largest eigenvalue of the Hessian of the validation loss for the alphas of a search."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from supernet import seeds
from supernet.data.loading import Batch
from supernet.gradients import detached
from supernet.hessian import hessian_product, largest_eigenvalue
from supernet.modules.search import SearchModule


def curvature(module: SearchModule, batches: Sequence[Batch], tolerance: float = 1e-3) -> float:
    """The largest eigenvalue of ``d^2 L / d alpha^2``, for all alphas and betas together, at the mean mixture.

    L is the mean loss of the batches with the weights held still. Batch norms use the statistics of the batch, as in
    the training of the alphas, and keep none. The graph of a single batch is kept; with several, each is built anew for
    every product, so that one is in memory at a time.

    Args:
        module: the search.
        batches: images and labels; at least one.
        tolerance: see `supernet.hessian.largest_eigenvalue`.
    """
    alphas = module.alphas.tensors()
    makers = [functools.partial(hessian_product, validation_loss(module, batch), alphas) for batch in batches]

    def mean(vector: Tensor) -> Tensor:
        return torch.stack([make()(vector) for make in makers]).mean(dim=0)

    with torch.enable_grad():
        product = makers[0]() if len(makers) == 1 else mean
        return largest_eigenvalue(product, sum(alpha.numel() for alpha in alphas), tolerance)


def validation_loss(module: SearchModule, batch: Batch) -> Callable[[Sequence[Tensor]], Tensor]:
    """From alphas to the mean loss of a batch under their mean mixture, at the module's weights."""
    weights = detached(module.weights)
    images, labels = batch[0].to(weights[0]), batch[1].to(weights[0].device)

    def loss(alphas: Sequence[Tensor]) -> Tensor:
        noise = seeds.derive(module.seed, seeds.NOISE, module.current_epoch)
        seeds.global_generator(module.device).manual_seed(noise)  # for the dropout on skips, if any
        logits = module.logits(weights, module.alphas.expected(alphas), images, track=False)
        return F.cross_entropy(logits, labels)

    return loss
