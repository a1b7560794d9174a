"""KNAS: the mean of the Gram matrix of the images' gradients, without any Gram matrix.

Xu, Zhao, Lin, Gao, Sun and Yang, "KNAS: Green Neural Architecture Search", 2021, arXiv:2111.13293. For n images with
gradients ``g_i`` the mean of the Gram matrix is the squared norm of the mean gradient,

    ``(1 / n^2) sum_ij <g_i, g_j> = || (1 / n) sum_i g_i ||^2``,

and so never negative, and one backward pass of the mean loss gives it. It is therefore close kin to the gradient norm
(`grad_norm`): what differs is that images do not share a batch norm, the square, and the mean over layers, if any. It
ranks by the size of gradients, which says more about an architecture without convolutions than about a good one.

The released code computes another number, a covariance between two halves of the images over a few coordinates. Its
expectation is zero for independent images; it is here to be compared with, not to be searched with.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.layers import per_edge
from supernet.estimators.proxies.published_order import published_order
from supernet.estimators.proxies.saliency import loss_gradients

COORDINATES = 50  # of a tensor, in the paper and in its code
TENSORS = 11  # that the released code looks at

Mode = Literal["exact", "paper", "released"]
Reduction = Literal["sum", "mean"]


class KNAS(Proxy):
    """The mean of the gradient Gram matrix; each image is normalised by itself, as in batches of one.

    Args:
        task: what is scored.
        batch_size: images.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        mode: ``exact``: see `gram_mean`; ``paper``: the same over 50 coordinates of each weight, the mean over layers;
            ``released``: see `half_covariance`.
        reduce: over layers, for ``exact``; the sum ranks better than the mean.
    """

    uses_labels = True
    normalisation = "instance"

    def __init__(
        self,
        task: Task,
        batch_size: int = 50,
        batches: int = 1,
        inits: int = 1,
        mode: Mode = "exact",
        reduce: Reduction = "sum",
    ) -> None:
        super().__init__(task, batch_size, batches, inits)
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}: it must be one of {', '.join(get_args(Mode))}")
        if reduce not in get_args(Reduction):
            raise ValueError(f"reduce is {reduce!r}: it must be one of {', '.join(get_args(Reduction))}")
        if mode == "released" and batch_size < 4:
            raise ValueError(f"batch_size is {batch_size}: the released form needs at least 4 images, two in each half")
        self.mode = mode
        self.reduce = reduce

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See the modes."""
        if self.mode == "released":
            return float(half_covariance(network, images, labels))
        if self.mode == "paper":
            return float(gram_mean(network, images, labels, "mean", COORDINATES))
        return float(gram_mean(network, images, labels, self.reduce))


def gram_mean(
    network: nn.Module, images: Tensor, labels: Tensor, reduce: Reduction = "sum", coordinates: int | None = None
) -> Tensor:
    """``|| (1 / n) sum_i dL_i/dW ||^2`` of each convolution and linear layer, summed or averaged over them: a scalar.

    Images must not influence each other. With ``coordinates`` only the first so many entries of each weight count.
    """
    gradients = per_edge(network, loss_gradients(network, images, labels))
    squares = torch.stack([part.flatten()[:coordinates].square().sum(dtype=torch.float64) for part in gradients])
    return squares.sum() if reduce == "sum" else squares.mean()


def half_covariance(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """``(1 / n^2) sum_d sum_k (g_kd - mean g_d) (g'_kd - mean g'_d)`` over coordinates d: a scalar.

    g are the loss gradients of the first half of the images, g' those of the second half, and each half has its own
    mean. The coordinates are the first 50 of the first eleven parameters that have as many, in `published_order`:
    mostly convolutions close to the input, and wide batch norms, which the rule lets in.
    """
    looked_at = [part for part in published_order(network) if part.size >= COORDINATES][:TENSORS]
    gradients = gradients_of(network, {part.name for part in looked_at}, images, labels)
    half = len(images) // 2
    total = images.new_zeros((), dtype=torch.float64)
    for part in looked_at:
        found = part.of(gradients[part.name], dim=1).flatten(1)[:, :COORDINATES].double()
        first, second = found[:half], found[half : 2 * half]
        total += ((first - first.mean(dim=0)) * (second - second.mean(dim=0))).sum()
    return total / (2 * half) ** 2


@torch.no_grad()
def gradients_of(network: nn.Module, names: set[str], images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The gradient ``(batch, ...)`` of each image's cross-entropy for the parameters of these names.

    It works for all kinds of parameters, those of batch norms too. Images must not influence each other.
    """
    some = {name: parameter.detach() for name, parameter in network.named_parameters() if name in names}
    # Batch norms count their batches, which they may not do in a tensor of the network from inside of a transform.
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def loss(some: dict[str, Tensor], buffers: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = torch.func.functional_call(network, (some, buffers), (image[None],))
        return F.cross_entropy(logits, label[None])

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, None, 0, 0), randomness="different")
    found: dict[str, Tensor] = each(some, buffers, images, labels)
    return found
