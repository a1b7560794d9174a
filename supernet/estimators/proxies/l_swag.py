"""L-SWAG: how alike the gradients of several batches are, times how many patterns the units make over a few images.

Casarin, Escalera and Lanz, "L-SWAG: Layer-Sample Wise Activation with Gradients Information for Zero-Shot NAS on Vision
Transformers", 2025, arXiv:2505.07300.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import per_edge, weight_gradients
from supernet.estimators.proxies.swap import patterns

PATTERN_IMAGES = 32


class LSWAG(Proxy):
    """The product of `steadiness` and the number of activation `patterns` over the first 32 images.

    Args:
        task: what is scored.
        batch_size: images in a batch, which is divided into parts.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        parts: how many parts; a gradient is taken of each.
        first: where the layers that count begin, as a share of all; the paper chooses an interval for each space.
        last: where they end.
    """

    uses_labels = True

    def __init__(
        self,
        task: Task,
        batch_size: int = 128,
        batches: int = 1,
        inits: int = 1,
        parts: int = 2,
        first: float = 0.0,
        last: float = 1.0,
    ) -> None:
        super().__init__(task, batch_size, batches, inits)
        if not 2 <= parts <= batch_size:
            raise ValueError(f"parts is {parts}: a batch of {batch_size} can be divided into 2 to {batch_size}")
        if not 0 <= first < last <= 1:
            raise ValueError(f"first is {first} and last is {last}: they are shares, the first below the last")
        self.parts = parts
        self.first = first
        self.last = last

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `steadiness` and `patterns`."""
        with torch.no_grad():
            expressed = patterns(network, images[:PATTERN_IMAGES])
        return float(steadiness(network, images, labels, self.parts, self.first, self.last) * expressed)


def steadiness(
    network: nn.Module, images: Tensor, labels: Tensor, parts: int = 2, first: float = 0.0, last: float = 1.0
) -> Tensor:
    """``sum_l log sum_w 1 / std(|dL/dw|)``: a scalar.

    The deviation is that of the cross-entropy's gradient over the parts of the batch (divided by their number, not by
    one less). The outer sum runs over an interval of the layers, the inner one over the weights of a layer whose
    gradient varies; a layer without any does not count. Not a number where a gradient is not finite.
    """
    found = []
    for some, theirs in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
        loss = F.cross_entropy(network(some), theirs)
        found.append([gradient.abs() for gradient in per_edge(network, weight_gradients(loss, network))])
    layers = list(zip(*found, strict=True))
    total = images.new_zeros(())
    for gradients in layers[round(first * len(layers)) : round(last * len(layers))]:
        stacked = torch.stack(gradients)
        if not bool(stacked.isfinite().all()):
            return total.new_full((), torch.nan)
        deviations = stacked.std(dim=0, correction=0)
        varying = deviations[deviations > 0]
        total = total + (varying.reciprocal().sum().log() if len(varying) else 0.0)
    return total
