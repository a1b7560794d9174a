"""MeCo: how far the channels of a network's feature maps are from being linear in each other, for one image of noise.

Jiang et al., "MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum Eigenvalue of Correlation", 2023
(NeurIPS). The published sum runs over all modules, so that a map counts as often as modules are nested around it. Here
it runs over the leaf modules, of each edge its own, and over the outputs of the stem, of cells and of fixed layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.activations import activations
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.features import recorded

ELSEWHERE = (nn.ReLU, nn.ReLU6)  # leaf modules whose output `activations` gives
NO_LAYERS = (nn.ConstantPad2d,)


class MeCo(Proxy):
    """The sum of the least eigenvalues of correlation matrices of channels.

    Args:
        task: what is scored.
        batch_size: images; the score is the mean over them.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
        image_size: height and width of the noise, whatever the task's.
        channels: how many channels of a map are looked at, None for all; see `meco`.
    """

    input = "noise"

    def __init__(
        self,
        task: Task,
        batch_size: int = 1,
        batches: int = 1,
        inits: int = 1,
        image_size: int = 64,
        channels: int | None = None,
    ) -> None:
        super().__init__(task, batch_size, batches, inits)
        for name, value in (("image_size", image_size), ("channels", 1 if channels is None else channels)):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        self.image_size = image_size
        self.channels = channels

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """See `Proxy.batch`."""
        shape = (self.batch_size, self.task.samples.image[0], self.image_size, self.image_size)
        images = torch.randn(shape).to(self.task.device, self.dtype)
        return images, torch.zeros(self.batch_size, dtype=torch.long, device=self.task.device)

    @torch.no_grad()
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """See `meco`."""
        return float(meco(network, images, self.channels))


@torch.no_grad()
def meco(network: nn.Module, images: Tensor, channels: int | None = None) -> Tensor:
    """``sum_m lambda_min(R_m)``, where ``R_m`` are the correlations of a map's channels over its pixels: a scalar.

    A channel that is constant is correlated with none, itself included. With ``channels`` = n a map of C > n channels
    is judged by n random ones, the same for all maps of a width, and counts ``C / n`` times (MeCo_opt).
    """
    seed = 0 if channels is None else int(torch.randint(2**31, ()))
    found: dict[int, list[Tensor]] = {}
    counts: dict[int, list[int]] = {}
    for values, count in _maps(network, images):
        width = values.shape[2]
        if channels is not None and width > channels:
            chosen = torch.randperm(width, generator=torch.Generator().manual_seed(seed + width))[:channels]
            values = values[:, :, chosen.to(values.device)]
        found.setdefault(width, []).append(_correlations(values))
        counts.setdefault(width, []).extend([count] * values.shape[1])
    total = images.new_zeros(())
    for width, matrices in found.items():  # all of a size at once
        least = torch.linalg.eigvalsh(torch.cat(matrices, dim=1))[..., 0].mean(dim=0)
        share = 1.0 if channels is None else max(1.0, width / channels)
        total = total + share * (least * least.new_tensor(counts[width])).sum()
    return total


def _maps(network: nn.Module, images: Tensor) -> list[tuple[Tensor, int]]:
    """What is summed over: ``(batch, edges, channels, h, w)`` and how often published code has it."""
    found: list[tuple[Tensor, int]] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 5:
            found.append((output, 1))
        elif isinstance(output, Tensor) and output.dim() == 4:
            found.append((output.unflatten(1, (int(getattr(module, "copies", 1)), -1)), 1))

    hooks = [
        module.register_forward_hook(record)
        for module in network.modules()
        if not list(module.children()) and not isinstance(module, ELSEWHERE + NO_LAYERS)
    ]
    try:
        with recorded(network) as layers:
            relus = activations(network, images)[1]
    finally:
        for hook in hooks:
            hook.remove()
    found += [(relu.values[:, None], relu.count) for relu in relus if relu.values.dim() == 4]
    return found + [(values[:, None], 1) for values in layers]


def _correlations(values: Tensor) -> Tensor:
    """``(batch, edges, channels, h, w)`` to the correlations of channels ``(batch, edges, channels, channels)``."""
    pixels = values.flatten(3)
    pixels = pixels - pixels.mean(dim=3, keepdim=True)
    units = (pixels / pixels.norm(dim=3, keepdim=True)).nan_to_num(0, 0, 0)
    return units @ units.mT
