"""EPE-NAS: how alike the network's reactions are to images of one class, against those to other classes.

Lopes, Alirezazadeh and Alexandre, "EPE-NAS: Efficient Performance Estimation Without Training for Neural Architecture
Search", 2021, arXiv:2102.08099.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from supernet.estimators.base import Task
from supernet.estimators.proxies.one_pass import Need, OnePass, Pass

EPSILON = 1e-5
MANY = 100
"""With more classes than this the score compares them pairwise."""


class EPENAS(OnePass):
    """The correlations between input gradients, class by class.

    Args:
        task: what is scored.
        batch_size: images in a batch, at least two of each class.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
    """

    uses_labels = True
    needs: ClassVar[frozenset[Need]] = frozenset({"input_gradients"})

    def __init__(self, task: Task, batch_size: int = 64, batches: int = 1, inits: int = 1) -> None:
        super().__init__(task, batch_size, batches, inits)
        if batch_size < 2 * task.samples.num_classes:
            raise ValueError(
                f"batch_size is {batch_size}: correlations within {task.samples.num_classes} classes need two images "
                f"of each, at least {2 * task.samples.num_classes}"
            )

    def of(self, seen: Pass) -> float:
        """See `class_correlations`."""
        return float(class_correlations(seen.input_gradients, seen.labels))


def class_correlations(rows: Tensor, labels: Tensor) -> Tensor:
    """``sum_c |s_c|`` with ``s_c = sum log(|M_c| + 1e-5)``, a scalar; M_c are the correlations of the rows of class c.

    With more than 100 classes ``s_c`` is divided by the number of images in the class, and the score is
    ``sum_ij |s_i - s_j|`` over the number of classes, as in the authors' code.
    """
    sums, sizes = [], []
    for label in labels.unique():
        inside = rows[labels == label].detach().double()
        sums.append((torch.corrcoef(inside).abs() + EPSILON).log().sum())
        sizes.append(len(inside))
    s = torch.stack(sums)
    if len(s) <= MANY:
        return s.abs().sum()
    s = s / s.new_tensor(sizes)
    return (s[:, None] - s).abs().sum() / len(s)
