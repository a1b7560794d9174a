"""How many times networks are run, forwards and backwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode

from search_spaces.network import Network


@dataclass
class Passes:
    """Counts so far."""

    networks: int = 0
    forwards: int = 0
    backwards: int = 0


@contextlib.contextmanager
def counted() -> Iterator[Passes]:
    """Count the passes of all networks inside the block; a product of a gradient and a vector counts as a pass."""
    found, seen = Passes(), set[nn.Module]()

    def forward(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, Network):
            seen.add(module)
            found.forwards += 1
            found.networks = len(seen)

    hook = register_module_forward_hook(forward)
    try:
        with _Backwards(found):
            yield found
    finally:
        hook.remove()


class _Backwards(TorchFunctionMode):
    def __init__(self, found: Passes) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.autograd.grad, Tensor.backward):
            self.found.backwards += 1
        return func(*args, **(kwargs or {}))
