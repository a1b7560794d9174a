"""ZiCo: whether the gradients of several batches are large compared with how much they differ.

Li, Yang, Bhardwaj and Marculescu, "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", 2023,
arXiv:2301.11300. The released code adds each batch's gradient to those of the batches before; here they are apart, as
in the paper. The deviation is that of the gradients themselves, as in the code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import per_edge
from supernet.estimators.proxies.saliency import loss_gradients


class ZiCo(Proxy):
    """The inverse coefficient of variation of gradients over batches, layer by layer.

    Args:
        task: what is scored.
        batch_size: images, which are divided into parts.
        batches: how many times that many images the score is averaged over.
        inits: how many initialisations the score is averaged over.
        parts: how many parts; a gradient is taken of each.
    """

    uses_labels = True

    def __init__(self, task: Task, batch_size: int = 256, batches: int = 1, inits: int = 1, parts: int = 2) -> None:
        super().__init__(task, batch_size, batches, inits)
        if not 2 <= parts <= batch_size:
            raise ValueError(f"parts is {parts}: a batch of {batch_size} can be divided into 2 to {batch_size}")
        self.parts = parts

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `zico`."""
        found = [
            per_edge(network, loss_gradients(network, some, theirs))
            for some, theirs in zip(images.tensor_split(self.parts), labels.tensor_split(self.parts), strict=True)
        ]
        return float(sum(log_ratio(torch.stack(gradients)) for gradients in zip(*found, strict=True)))


def log_ratio(gradients: Tensor) -> float:
    """``log sum_w mean_b |g_bw| / std_b g_bw`` of one layer, from its gradients ``(parts, ...)``.

    The deviation is divided by the number of parts, not by one less. Weights whose gradient does not vary are left out;
    a layer without others gives zero. Not a number where a gradient is not finite.
    """
    if not bool(gradients.isfinite().all()):
        return math.nan
    deviations = gradients.std(dim=0, correction=0)
    varying = deviations > 0
    ratios = gradients.abs().mean(dim=0)[varying] / deviations[varying]
    return float(ratios.sum(dtype=torch.float64).log()) if len(ratios) else 0.0
