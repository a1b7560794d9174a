"""TE-NAS's condition number: how unevenly gradient descent would fit different combinations of images.

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective",
2021, arXiv:2102.11535.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.supernets import Mixed

WORST = 1e5
"""The largest condition number, and that of a kernel that is singular as far as can be computed."""

CONSTANT = 1e-9
"""The share of the trace below which a direction is rounding errors (1e-12 in float32; others have about 1e-2)."""


class NTKCondition(Proxy):
    """Minus the condition number of the neural tangent kernel of a thin network.

    Args:
        task: what is scored.
        batch_size: images.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        channels: of the networks, which are as short as the space allows; None for the space's own networks.
    """

    initialisation = "kaiming_fan_out"

    def __init__(
        self, task: Task, batch_size: int = 72, batches: int = 1, inits: int = 1, channels: int | None = 3
    ) -> None:
        if channels is not None:
            task = replace(task, space=task.space.thin(channels))
        super().__init__(task, batch_size, batches, inits)

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `condition_number`."""
        return -condition_number(tangent_kernel(network, images), of_supernet=isinstance(network, Mixed))


def condition_number(kernel: Tensor, of_supernet: bool = False) -> float:
    """The largest eigenvalue over the smallest, at most 1e5; 1e5 too where the smallest is not positive.

    Batch norms hold the sum over the images constant, whatever the weights are, in supernets of DARTS's space, all of
    whose operations end in one. It is left out there: its eigenvalue is zero in every one, or the rounding errors in
    its place, and would decide alone. The published code leaves nothing out. Of architectures some have it and some
    have not, and those that have are the worst.
    """
    if not bool(kernel.isfinite().all()):
        return WORST
    kernel = kernel.double()
    values = torch.linalg.eigvalsh(kernel)
    if of_supernet and len(values) > 1 and float(kernel.sum()) / len(kernel) < CONSTANT * float(values.sum()):
        values = values[1:]
    return min(WORST, float(values[-1] / values[0])) if float(values[0]) > 0 else WORST


def tangent_kernel(network: nn.Module, images: Tensor) -> Tensor:
    """``K_ij = <g_i, g_j>`` in float64, with ``g_i`` the gradient of the sum of image i's logits: ``(batch, batch)``.

    The gradients are those for the weights of convolutions, linear layers and batch norms; biases do not count. All
    images pass through the network together, so that by its batch norms every logit depends on all of them: there is
    one backward pass for each image.
    """
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]
    rows = []
    for total in network(images).sum(dim=1):
        gradients = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    jacobian = torch.stack(rows).double()
    return jacobian @ jacobian.T
