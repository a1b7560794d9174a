"""The gradient of each image for the weight of each layer, all from one backward pass.

The weight's gradient of one image is the product of what the layer was given, unfolded into patches, and the gradient
of what it gave: both lie in the batch that went through the network anyway (Goodfellow, 2015, arXiv:1510.01799; for
convolutions Rochette, Manoel and Tramel, 2019, arXiv:1912.06015). Images must not influence each other, so batch norms
must not normalise by the batch: see `grams.frozen_statistics` and `normalisation.normalised`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.estimators.proxies.layers import Layer, layers

PerImage = Callable[[Tensor], Tensor]
"""From logits ``(batch, classes)`` to a number for each image ``(batch,)``, such as its loss."""


def losses(labels: Tensor) -> PerImage:
    """Each image's cross-entropy."""
    return lambda logits: F.cross_entropy(logits, labels, reduction="none")


def logit_sums(logits: Tensor) -> Tensor:
    """The sum of each image's logits."""
    return logits.sum(dim=1)


@dataclass(frozen=True)
class Passage:
    """What went through a layer in one pass, as matrices: its output is ``weight @ inputs`` for each image and group.

    Attributes:
        layer: the layer; ``copies`` edges share it.
        inputs: ``(batch, groups, weights of an output, positions)``.
        gradients: of the outputs, ``(batch, groups, outputs of a group, positions)``.
    """

    layer: Layer
    inputs: Tensor
    gradients: Tensor

    def weight_gradients(self) -> Tensor:
        """The weight's gradient of each image, ``(batch, copies, weights of a copy)``."""
        product = self.gradients @ self.inputs.mT
        return product.reshape(len(product), self.layer.copies, -1)


def passages(network: nn.Module, images: Tensor, scalar: PerImage) -> Iterator[tuple[Layer, Passage | None]]:
    """One forward and one backward pass: for each of `layers` what went through it.

    None where the numbers of no image depend on the layer's output. The matrices are made one layer at a time.

    Args:
        network: in a state in which images do not influence each other.
        images: ``(batch, channels, h, w)``.
        scalar: what the gradients are of.

    Raises ValueError where a layer is used twice in a pass.
    """
    known = layers(network)
    given: dict[nn.Module, Tensor] = {}
    produced: dict[nn.Module, Tensor] = {}

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if module in produced:
            name = next(layer.name for layer in known if layer.module is module)
            raise ValueError(f"{name} is used twice in a pass, so that its inputs cannot be told apart")
        given[module], produced[module] = inputs[0].detach(), output

    hooks = [layer.module.register_forward_hook(record) for layer in known]
    try:
        with torch.enable_grad():
            total = scalar(network(images)).sum()
    finally:
        for hook in hooks:
            hook.remove()
    gradients = dict(zip(produced, torch.autograd.grad(total, list(produced.values()), allow_unused=True), strict=True))
    produced.clear()
    for layer in known:
        gradient = gradients.pop(layer.module, None)
        inputs = given.pop(layer.module, None)
        if gradient is None or inputs is None:
            yield layer, None
        elif isinstance(layer.module, nn.Linear):
            yield layer, Passage(layer, inputs[:, None, :, None], gradient[:, None, :, None])
        else:
            groups = layer.module.groups
            yield layer, Passage(layer, _patches(layer.module, inputs), gradient.flatten(2).unflatten(1, (groups, -1)))


def _patches(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """What each output pixel sees: ``(batch, groups, channels of a group * kernel pixels, positions)``."""
    assert isinstance(convolution.padding, tuple)
    kernel, stride, padding = convolution.kernel_size, convolution.stride, convolution.padding
    if kernel == (1, 1) and padding == (0, 0):
        x = x[:, :, :: stride[0], :: stride[1]].flatten(2)
    else:
        x = F.unfold(x, kernel, convolution.dilation, padding, stride)
    return x.unflatten(1, (convolution.groups, -1))
