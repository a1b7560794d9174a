"""EPE-NAS: how alike the network's reactions are to images of one class, against those to other classes.

Lopes, Alirezazadeh and Alexandre, "EPE-NAS: Efficient Performance Estimation Without Training for Neural Architecture
Search", 2021, arXiv:2102.08099.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.jacob_cov import input_gradients

EPSILON = 1e-5
MANY = 100
"""With more classes than this the score compares them pairwise."""


class EPENAS(Proxy):
    """The correlations between input gradients, class by class."""

    uses_labels = True

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `class_correlations`."""
        return float(class_correlations(input_gradients(network, images), labels))


def class_correlations(rows: Tensor, labels: Tensor) -> Tensor:
    """``sum_c |s_c|`` with ``s_c = sum log(|M_c| + 1e-5)``, a scalar; M_c are the correlations of the rows of class c.

    With more than 100 classes the sum of ``|s_i - s_j|`` over pairs of them, over their number.
    """
    sums = []
    for label in labels.unique():
        correlations = torch.corrcoef(rows[labels == label].detach().double()).abs()
        sums.append((correlations + EPSILON).log().sum())
    if len(sums) <= MANY:
        return torch.stack(sums).abs().sum()
    differences = [(one - other).abs() for one, other in itertools.combinations(sums, 2)]
    return torch.stack(differences).sum() / len(sums)
