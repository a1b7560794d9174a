"""NEAR: of how high a rank the outputs of a network's layers are.

Husistein, Reiher and Eckhoff, "NEAR: A Training-Free Pre-Estimator of Machine Learning Model Performance", 2025,
arXiv:2408.08776, and its code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from supernet.estimators.proxies.activations import activations
from supernet.estimators.proxies.base import Proxy


class NEAR(Proxy):
    """The sum of effective ranks of the outputs of layers with weights and of ReLUs."""

    @torch.no_grad()
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `near`."""
        return float(near(network, images, float(torch.rand(()))))


def near(network: nn.Module, images: Tensor, position: float) -> Tensor:
    """The sum of `effective_ranks` over convolutions, linear layers, batch norms and ReLUs, of each edge its own.

    Of an output of C channels, as a matrix ``(pixels of all images, channels)``, C rows in a stretch are looked at; all
    of them where there are fewer. The stretch begins with a column of an image, for all outputs at the same share of
    the way from the first image to the last: ``position``, from 0 to less than 1.
    """
    outputs: list[tuple[Tensor, int]] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        channels = output.flatten(1, 2) if output.dim() == 5 else output
        outputs.extend((part, 1) for part in channels.unflatten(1, (int(getattr(module, "copies", 1)), -1)).unbind(1))

    hooks = [
        module.register_forward_hook(record)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    ]
    try:
        relus = activations(network, images)[1]
    finally:
        for hook in hooks:
            hook.remove()
    outputs += [(relu.values, relu.count) for relu in relus]
    by_shape: dict[torch.Size, list[tuple[Tensor, int]]] = {}
    for output, count in outputs:
        rows = _stretch(output, position)
        by_shape.setdefault(rows.shape, []).append((rows, count))
    total = images.new_zeros(())
    for found in by_shape.values():
        counts = images.new_tensor([count for _, count in found])
        total = total + (effective_ranks(torch.stack([rows for rows, _ in found])) * counts).sum()
    return total


def effective_ranks(matrices: Tensor) -> Tensor:
    """``exp(-sum_k p_k log p_k)``, where ``p`` are the singular values as shares of their sum; 0 for a zero matrix.

    ``(n, rows, columns)`` to ``(n,)``; not a number where the matrices are not finite.
    """
    if not bool(matrices.isfinite().all()):  # the solver would fail
        return matrices.new_full((len(matrices),), torch.nan)
    values = torch.linalg.svdvals(matrices)
    total = values.sum(dim=1)
    shares = values / total.clamp_min(torch.finfo(total.dtype).tiny)[:, None]
    return torch.special.entr(shares).sum(dim=1).exp() * (total > 0)


def _stretch(output: Tensor, position: float) -> Tensor:
    """So many consecutive rows as there are channels, of ``(batch, channels)`` or ``(batch, channels, h, w)``."""
    if output.dim() == 2:
        return output[: output.shape[1]]
    count, channels, height, width = output.shape
    columns = count * width  # of `height` rows each: the order is image, column, row
    needed = -(-channels // height)
    first = int(position * (max(columns - needed, 0) + 1))
    images = output[first // width : -(-(first + needed) // width)]
    rows = images.permute(0, 3, 2, 1).flatten(0, 2)
    start = (first % width) * height
    return rows[start : start + channels]
