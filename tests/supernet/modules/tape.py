"""A recording on any device, which keeps to the rules of a CUDA graph.

Each operator is kept with the very tensors and numbers that it got. Done again, it computes from what these tensors
hold then, and its results take the place of the first ones. So whatever a step decides in Python, or makes anew
outside, has no effect, as with a graph.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Tape:
    """Records like `supernet.modules.capture.CUDAGraphs`; ``recordings`` counts them, ``replays`` their operators."""

    def __init__(self) -> None:
        self.recordings = 0
        self.replayed = 0

    def __call__(self, function):
        self.recordings += 1
        with _Operators() as operators:
            result = function()
        operators.undo()

        def replay() -> None:
            self.replayed += 1
            with torch.no_grad():
                for func, args, kwargs, out in operators.kept:
                    again = func(*args, **kwargs)
                    for old, new in zip(pytree.tree_leaves(out), pytree.tree_leaves(again), strict=True):
                        if isinstance(old, Tensor) and not _same(old, new):
                            old.copy_(new)

        for one in pytree.tree_leaves(result):
            if isinstance(one, Tensor):
                one.data.fill_(float("nan"))  # valid after the first replay only
        return replay, result


class _Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[Any, Any, Any, Any]] = []
        self.made: set[int] = set()  # memory that appeared within
        self.outside: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        assert func is not torch.ops.aten._local_scalar_dense.default, "the host waits for a value"
        for one in pytree.tree_leaves((args, kwargs)):
            if (
                isinstance(one, Tensor)
                and one.untyped_storage().data_ptr() not in self.made
                and id(one) not in self.outside
            ):
                self.outside[id(one)] = one, one.detach().clone()
        out = func(*args, **kwargs)
        given = {
            one.untyped_storage().data_ptr() for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, Tensor)
        }
        for one in pytree.tree_leaves(out):
            if isinstance(one, Tensor) and one.untyped_storage().data_ptr() not in given:
                self.made.add(one.untyped_storage().data_ptr())
        self.kept.append((func, args, kwargs, out))
        return out

    def undo(self) -> None:
        """A graph is not run while it is recorded: give what lay outside its values back."""
        for tensor, before in self.outside.values():
            if not torch.equal(tensor.detach(), before):
                tensor.data.copy_(before)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
