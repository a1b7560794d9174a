"""The scores of the kernel warm start: three views of an untrained network, from two passes forward and two back.

* G, class contrast: whether images of one class pull at a layer's weights in more similar directions than images of
  different classes do, summed over the layers (`class_contrast`);
* J, how differently the network responds to different images (`jacobian_score`; Mellor et al., 2020,
  arXiv:2006.04647v1);
* P, progressivity: the least that a layer adds to the entropy of the features (`progressivity`; Lee and Ham, 2024,
  arXiv:2403.19232).

None compares magnitudes of gradients between architectures. The networks keep the weights that their layers draw, and
look at images. Each is also there as an estimator of its own; here they share their passes.

J differs from the published one in that images do not share a batch norm. With one, the sum of a batch's logits is
constant where the last operations end in a batch norm and are then averaged over the pixels, as in the spaces of DARTS
and RobustDARTS: its gradient is nothing but rounding errors there. On NAS-Bench-201 the filter is the same with either.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.aggregate import rank_sum
from supernet.estimators.proxies.class_contrast import class_contrast
from supernet.estimators.proxies.features import recorded
from supernet.estimators.proxies.gram_statistic import GramStatistic
from supernet.estimators.proxies.grams import frozen_statistics, layer_grams
from supernet.estimators.proxies.jacob_cov import jacobian_score
from supernet.estimators.proxies.progressivity import progressivity
from supernet.estimators.proxies.sample_gradients import losses


class Kernels(GramStatistic):
    """G, J and P; together they are the sum of the logarithms of their ranks. See `GramStatistic` for the arguments."""

    names = ("class_contrast", "jacobian", "progressivity")
    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, ...]:
        """See `kernels`."""
        return kernels(network, images, labels, self.gram_batch)

    def combine(self, measurements: Tensor) -> Tensor:
        """See `Measured.combine`."""
        return rank_sum(measurements)


def kernels(network: nn.Module, images: Tensor, labels: Tensor, gram_batch: int) -> tuple[float, float, float]:
    """G, J and P, see the module; the network is changed for good.

    P is that of all images, in a network that normalises by the batch. G and J are those of the first ``gram_batch``
    images, which do not influence each other: the statistics stay those of the batch.
    """
    with torch.no_grad(), recorded(network) as maps:
        frozen_statistics(network, images)
    growth = progressivity(maps)
    first, labels = images[:gram_batch].detach().clone().requires_grad_(), labels[:gram_batch]
    rows: list[Tensor] = []

    def loss(logits: Tensor) -> Tensor:
        rows.extend(torch.autograd.grad(logits.sum(), first, retain_graph=True))  # the same pass serves for J
        return losses(labels)(logits)

    contrast = class_contrast(layer_grams(network, first, loss), labels)
    return float(contrast), float(jacobian_score(rows[0].flatten(1))), float(growth)
