"""Less memory for more time: what a module computes within is computed anew when its gradients are asked for.

Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


def recomputed(module: nn.Module, *inputs: Any, draws: bool = False) -> Tensor:
    """``module(*inputs)``, of which only inputs and output are kept; gradients of any order are the same.

    The second time the module has the parameters of the first, also where those were only lent to it
    (`torch.func.functional_call`), and leaves no trace in running statistics.

    Args:
        module: whatever gives one tensor.
        inputs: its arguments.
        draws: it draws random numbers, which must be the same the second time.
    """
    if not torch.is_grad_enabled():
        return module(*inputs)
    again = _Again(module)

    def run(*arguments: Any) -> Tensor:
        return functional_call(module, again.lent, arguments)

    return checkpoint(
        run, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), again), preserve_rng_state=draws
    )


class _Again:
    """The module as it is now, at any later time; but what batch norms in training update then is thrown away."""

    def __init__(self, module: nn.Module) -> None:
        self.lent: dict[str, Tensor] = dict(module.named_parameters())
        self.norms = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d)}
        self.tracking = {name: layer.track_running_stats for name, layer in self.norms.items()}
        self._flags: list[dict[str, bool]] = []

    def __enter__(self) -> None:
        self._flags.append({name: layer.track_running_stats for name, layer in self.norms.items()})
        self._set(self.tracking)
        for name, layer in self.norms.items():
            if layer.training and self.tracking[name]:
                for buffer, tensor in layer.named_buffers():
                    self.lent[f"{name}.{buffer}" if name else buffer] = torch.zeros_like(tensor)

    def __exit__(self, *_: object) -> None:
        self._set(self._flags.pop())

    def _set(self, flags: dict[str, bool]) -> None:
        for name, layer in self.norms.items():
            layer.track_running_stats = flags[name]
