"""Label alignment: how much the directions in which images pull at a layer's weights are grouped by class.

The alignment of centred kernels is that of Cortes, Mohri and Rostamizadeh (2012, arXiv:1203.0550) and Kornblith et al.
(2019, arXiv:1905.00414).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.class_contrast import cosines
from supernet.estimators.proxies.gram_statistic import GramStatistic, same_class
from supernet.estimators.proxies.sample_gradients import losses


class LabelAlignment(GramStatistic):
    """The alignment between the cosines of loss gradients and the classes, layer by layer."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `label_alignment`."""
        labels = labels[: self.gram_batch]
        return float(label_alignment(self.grams(network, images, losses(labels)), labels))


def label_alignment(grams: Sequence[Tensor], labels: Tensor) -> Tensor:
    """``A = sum_l alignment(c_l, S)``: a scalar, where ``S_ij`` is 1 for images of one class and else 0.

    ``c_l`` are the cosines between gradients at layer l. A layer at which some image has no gradient is left out;
    where a gradient is not finite, neither is the result.

    Args:
        grams: ``K_l (batch, batch)`` of the loss for each layer, from `layer_grams`.
        labels: ``(batch,)``.
    """
    same = same_class(labels).to(grams[0])
    total = grams[0].new_zeros(())
    for gram in grams:
        if not bool(gram.isfinite().all()):
            return torch.full_like(total, torch.nan)
        if bool((gram.diagonal() > 0).all()):
            total = total + alignment(cosines(gram), same)
    return total


def alignment(one: Tensor, other: Tensor) -> Tensor:
    """``<HKH, HLH> / (||HKH|| ||HLH||)`` with ``H = I - 1/n``: the cosine between two centred kernels, a scalar.

    Zero where one of them is constant.
    """
    one, other = _centred(one), _centred(other)
    lengths = one.norm() * other.norm()
    return (one * other).sum() / lengths if bool(lengths > 0) else lengths


def _centred(kernel: Tensor) -> Tensor:
    return kernel - kernel.mean(dim=0, keepdim=True) - kernel.mean(dim=1, keepdim=True) + kernel.mean()
