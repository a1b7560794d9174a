"""Gram matrices of per-image weight gradients, one for each layer of a network, from one backward pass.

For layer l and images i and j, ``K_l[i, j] = <g_i, g_j>``, where ``g_i`` is the gradient of a number of image i, such
as its loss, with respect to the layer's weight. The sum over all layers is the neural tangent kernel (Jacot, Gabriel
and Hongler, 2018, arXiv:1806.07572) of that number, biases and batch norms left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.sample_gradients import Passage, PerImage, passages


def frozen_statistics(network: nn.Module, images: Tensor) -> Tensor:
    """Make images independent of each other: evaluation mode, with batch norms that normalise as for this batch.

    One pass in training mode sets the running statistics to those of the batch, so that afterwards the network computes
    what it does in training, but for the factor ``n / (n - 1)`` of the unbiased variance. The network is changed for
    good. The logits of that pass are returned; gradients can be taken of them unless they are disabled.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    logits: Tensor = network.train()(images)
    network.eval()
    return logits


def layer_grams(network: nn.Module, images: Tensor, scalar: PerImage) -> list[Tensor]:
    """``K_l (batch, batch)`` in float64 for each layer and, where edges share a layer, for each edge.

    They come in the order of `layers.per_edge`. A layer that the scalar does not depend on has a Gram matrix of zeros.

    Args:
        network: in a state in which images do not influence each other, see `frozen_statistics`.
        images: ``(batch, channels, h, w)``.
        scalar: from logits ``(batch, classes)`` to a number for each image ``(batch,)``.
    """
    grams: list[Tensor] = []
    for layer, passage in passages(network, images, scalar):
        if passage is None:
            grams += [torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)] * layer.copies
        else:
            by_pairs = pair_products(passage) < weight_products(passage)
            found = gram_by_positions(passage) if by_pairs else gram_by_weights(passage)
            grams += found.double().unbind()
    return grams


def gram_by_weights(passage: Passage) -> Tensor:
    """``(copies, batch, batch)``: products of the weight's gradients."""
    gradients = passage.weight_gradients().movedim(1, 0)
    return gradients @ gradients.mT


def gram_by_positions(passage: Passage) -> Tensor:
    """``(copies, batch, batch)``: ``sum_pq <inputs at p, inputs at q> <gradients at p, gradients at q>``.

    The same numbers without the weight's gradients: less work for large weights and few positions, as in the last
    layers and above all in a linear one.
    """
    copies = passage.layer.copies
    batch, groups, _, positions = passage.inputs.shape
    seen = passage.inputs.permute(1, 0, 3, 2).flatten(1, 2)  # (groups, batch * positions, weights of an output)
    pulled = passage.gradients.permute(1, 0, 3, 2).flatten(1, 2)
    if groups == 1:  # all copies see the same
        pulled = pulled.unflatten(2, (copies, -1)).movedim(2, 1).flatten(0, 1)
    products = (seen @ seen.mT) * (pulled @ pulled.mT)
    return (
        products.unflatten(0, (copies, -1))
        .unflatten(-1, (batch, positions))
        .unflatten(2, (batch, positions))
        .sum(dim=(1, 3, 5))
    )


def weight_products(passage: Passage) -> int:
    """Multiply-adds of `gram_by_weights`."""
    batch, groups, weights, positions = passage.inputs.shape
    size = groups * weights * passage.gradients.shape[2]
    return batch * positions * size + batch * batch * size


def pair_products(passage: Passage) -> int:
    """Multiply-adds of `gram_by_positions`."""
    batch, groups, weights, positions = passage.inputs.shape
    return (batch * positions) ** 2 * groups * (weights + passage.gradients.shape[2])
