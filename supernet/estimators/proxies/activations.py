"""What the ReLUs of a network give, as the papers count them: once for each operation that begins with one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from search_spaces.operations import Operation

RELUS = (F.relu, torch.relu, Tensor.relu, F.relu6, F.hardtanh)


@dataclass
class Activation:
    """The output of a ReLU.

    Attributes:
        values: ``(batch, ...)``.
        count: how many ReLUs published code has here: a cell computes the ReLU of a node once for all operations that
            begin with it.
    """

    values: Tensor
    count: int


def activations(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Activation]]:
    """One pass: the logits, and the outputs of all ReLUs in the order of their computation."""
    found: list[Activation] = []
    users: dict[int, int] = {}
    running: list[Operation] = []
    copies: dict[int, tuple[Tensor, Tensor]] = {}  # a map that a cell has put side by side, and that map

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(module, Operation)
        running.append(module)
        if module.takes_relu and len(running) == 1:
            x = copies.get(id(inputs[0]), (inputs[0], inputs[0]))[1]
            users[id(x)] = users.get(id(x), 0) + module.copies

    def end(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        running.pop()

    def record(output: Tensor) -> None:
        # Inside an operation the maps of its edges lie side by side, or each edge has a dimension of its own already.
        channels = output.flatten(1, 2) if output.dim() == 5 else output
        parts = channels.unflatten(1, (running[0].copies, -1)).unbind(1) if running else (output,)
        found.extend(Activation(part, 1) for part in parts)

    hooks = []
    for module in network.modules():
        if isinstance(module, Operation):
            hooks += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    try:
        with _Recorder(record, copies):
            logits = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    for activation in found:
        activation.count = users.get(id(activation.values), 1)
    return logits, found


class _Recorder(TorchFunctionMode):
    def __init__(self, record: Callable[[Tensor], None], copies: dict[int, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.record = record
        self.copies = copies

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in RELUS:
            self.record(output)
        if func is torch.cat and len({id(part) for part in args[0]}) == 1:
            self.copies[id(output)] = output, args[0][0]
        return output
