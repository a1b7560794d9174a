"""Class contrast: whether images of one class pull at a layer's weights in more similar directions than other images.

A statistic of the kernels of Xu et al. (2021, arXiv:2111.13293) that, other than their mean, does not depend on the
size of gradients, which cannot be compared between architectures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.gram_statistic import GramStatistic, same_class
from supernet.estimators.proxies.sample_gradients import losses


class ClassContrast(GramStatistic):
    """How much more alike the loss gradients of a class are than those of different classes."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `class_contrast`."""
        labels = labels[: self.gram_batch]
        return float(class_contrast(self.grams(network, images, losses(labels)), labels))


def class_contrast(grams: Sequence[Tensor], labels: Tensor) -> Tensor:
    """``G = sum_l (mean of c_l over pairs of one class - mean of c_l over pairs of two classes)``: a scalar.

    ``c_l[i, j]`` is the cosine between the gradients of two different images at layer l. A layer at which some image
    has no gradient is left out; where a gradient is not finite, neither is the result.

    Args:
        grams: ``K_l (batch, batch)`` of the loss for each layer, from `layer_grams`.
        labels: ``(batch,)``.
    """
    same = same_class(labels)
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    total = grams[0].new_zeros(())
    for gram in grams:
        if not bool(gram.isfinite().all()):
            return torch.full_like(total, torch.nan)
        if bool((gram.diagonal() > 0).all()):
            alike = cosines(gram)
            total = total + alike[same & others].mean() - alike[~same].mean()
    return total


def cosines(gram: Tensor) -> Tensor:
    """``K_ij / sqrt(K_ii K_jj)``: ``(batch, batch)``."""
    lengths = gram.diagonal().sqrt()
    return gram / (lengths[:, None] * lengths[None, :])
